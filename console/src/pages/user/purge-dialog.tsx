import { useState } from 'react'
import { useLocation } from 'wouter'
import type { User } from '#api/client.ts'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { TextField } from '#parts/field.tsx'
import { Failed } from '#parts/page.tsx'
import { nameOf } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { usePurge } from './query.ts'

/** A name as the page shows it: what it holds of tabs and double spaces cannot be seen, nor typed into a field. */
const asRead = (name: string) => name.replace(/\s+/g, ' ').trim()

/** What cannot be undone asks for the name. */
export function PurgeDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const [, go] = useLocation()
  const purge = usePurge(user.id)
  return (
    <Dialog title={t.purge.title(nameOf(user))} onClose={onClose} isBusy={purge.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          purge.mutate(undefined, { onSuccess: () => go('/users') })
        }}
      >
        <p className="m-0">{t.purge.lead}</p>
        <TextField
          label={t.purge.typed(nameOf(user))}
          autoFocus
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        {purge.error && <Failed error={purge.error} />}
        <DialogFoot>
          <Button onClick={onClose}>{t.act.cancel}</Button>
          <Button
            type="submit"
            look="stop"
            disabled={asRead(typed) !== asRead(nameOf(user)) || purge.isPending}
          >
            {t.purge.title(nameOf(user))}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
