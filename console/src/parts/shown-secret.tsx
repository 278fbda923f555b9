import { t } from '#words/words.ts'
import { Button } from './button.tsx'
import { Copyable } from './copy.tsx'
import { Dialog, DialogFoot } from './dialog.tsx'

/** A secret that is shown once; it stays in this dialog alone. */
export function ShownSecret({
  title,
  lead,
  secret,
  onClose,
  children,
}: {
  title: string
  lead: string
  secret: string
  onClose: () => void
  children?: React.ReactNode
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="m-0">{lead}</p>
      <Copyable text={secret} />
      {children}
      <DialogFoot>
        <Button look="main" onClick={onClose}>
          {t.act.close}
        </Button>
      </DialogFoot>
    </Dialog>
  )
}
