import { useState } from 'react'
import type { User } from '#api/client.ts'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { SelectField, TextField } from '#parts/field.tsx'
import { ConnectionKit } from '#parts/kit.tsx'
import { Failed } from '#parts/page.tsx'
import { ShownSecret } from '#parts/shown-secret.tsx'
import { nameOf } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { useDisable, useRotate } from './query.ts'

export function DisableDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [reason, setReason] = useState('')
  const disable = useDisable(user.id)
  return (
    <Dialog title={t.user.disableTitle(nameOf(user))} onClose={onClose} isBusy={disable.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          disable.mutate(reason.trim(), { onSuccess: onClose })
        }}
      >
        <p className="m-0">{t.user.disableLead}</p>
        <TextField
          label={t.bulk.reason}
          autoFocus
          maxLength={1000}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
        {disable.error && <Failed error={disable.error} />}
        <DialogFoot>
          <Button onClick={onClose}>{t.act.cancel}</Button>
          <Button type="submit" look="stop" disabled={disable.isPending}>
            {t.user.disableTitle(nameOf(user))}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}

const hour = 3_600_000
const graces = { none: 0, hour, day: 24 * hour, week: 7 * 24 * hour } as const
type Grace = keyof typeof graces

export function RotateDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [grace, setGrace] = useState<Grace>('day')
  const rotate = useRotate(user.id)
  if (rotate.data)
    return (
      <ShownSecret title={nameOf(user)} lead={t.user.rotated} secret={rotate.data.token} onClose={onClose}>
        <ConnectionKit token={rotate.data.token} />
      </ShownSecret>
    )
  return (
    <Dialog title={t.user.rotate} onClose={onClose} isBusy={rotate.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          // A minute less than the longest grace: the clocks of the two machines may differ.
          rotate.mutate(
            grace === 'none' ? null : Date.now() + graces[grace] - (grace === 'week' ? 60_000 : 0),
          )
        }}
      >
        <p className="m-0">{t.user.rotateLead}</p>
        <SelectField
          label={t.user.grace}
          value={grace}
          onChange={(event) => setGrace(event.target.value as Grace)}
        >
          {Object.entries(t.user.graces).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </SelectField>
        {rotate.error && <Failed error={rotate.error} />}
        <DialogFoot>
          <Button disabled={rotate.isPending} onClick={onClose}>
            {t.act.cancel}
          </Button>
          <Button type="submit" look="main" disabled={rotate.isPending}>
            {t.user.rotate}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
