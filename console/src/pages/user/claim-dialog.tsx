import { useState } from 'react'
import type { User } from '#api/client.ts'
import { useMay } from '#api/session.ts'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { SelectField } from '#parts/field.tsx'
import { Failed } from '#parts/page.tsx'
import { ShownSecret } from '#parts/shown-secret.tsx'
import { nameOf } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { useClaim } from './query.ts'

const minutes = { hour: 60, day: 24 * 60, week: 7 * 24 * 60, month: 30 * 24 * 60 } as const
type Validity = keyof typeof minutes

/** Makes a link that shows the access token once, to the holder who opens it. */
export function ClaimDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [validity, setValidity] = useState<Validity>('day')
  const [isNew, setNew] = useState(false)
  const may = useMay()
  const claim = useClaim(user.id)
  if (claim.data)
    return <ShownSecret title={nameOf(user)} lead={t.claim.made} secret={claim.data.link} onClose={onClose} />
  return (
    <Dialog title={t.claim.title} onClose={onClose} isBusy={claim.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          claim.mutate({ validMinutes: minutes[validity], rotate: isNew })
        }}
      >
        <p className="m-0">{t.claim.lead}</p>
        <SelectField
          label={t.claim.valid}
          value={validity}
          onChange={(event) => setValidity(event.target.value as Validity)}
        >
          {Object.entries(t.claim.validities).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </SelectField>
        {may('users:write') && (
          <label className="flex items-center gap-2 text-13">
            <input type="checkbox" checked={isNew} onChange={() => setNew(!isNew)} />
            {t.claim.rotate}
          </label>
        )}
        {claim.error && <Failed error={claim.error} />}
        <DialogFoot>
          <Button disabled={claim.isPending} onClick={onClose}>
            {t.act.cancel}
          </Button>
          <Button type="submit" look="main" disabled={claim.isPending}>
            {t.claim.title}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
