import { type ReactNode, useEffect, useId, useRef } from 'react'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

/** A native modal dialog: it keeps the focus, gives it back at the end, and Escape closes it unless a write runs. */
export function Dialog({
  title,
  onClose,
  isBusy = false,
  children,
}: {
  title: string
  onClose: () => void
  /** While a write runs: its answer, such as a new secret, would be shown nowhere. */
  isBusy?: boolean
  children: ReactNode
}) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const opener = document.activeElement
    ref.current?.showModal()
    // A field cannot have the focus before the dialog is open, whatever its `autoFocus` says.
    ref.current?.querySelector<HTMLElement>('form :is(input, select, textarea)')?.focus()
    return () => {
      const isThere = opener instanceof HTMLElement && opener !== document.body && opener.isConnected
      ;(isThere ? opener : document.getElementById('content'))?.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(event) => isBusy && event.preventDefault()}
      onClose={onClose}
      className="m-auto w-[min(560px,calc(100vw-32px))] max-h-[calc(100dvh-32px)] overflow-auto rounded-6 border border-line p-6 shadow-float"
    >
      <div className="mb-4 flex items-start justify-between gap-4">
        <h2 id={id} className="m-0 text-20 font-semibold [overflow-wrap:anywhere]">
          {title}
        </h2>
        <Button look="bare" disabled={isBusy} onClick={onClose} aria-label={t.act.close}>
          ✕
        </Button>
      </div>
      <div className="flex flex-col gap-4">{children}</div>
    </dialog>
  )
}

export const DialogFoot = ({ children }: { children: ReactNode }) => (
  <div className="flex flex-wrap justify-end gap-2 pt-2 [&_button]:whitespace-normal [&_button]:[overflow-wrap:anywhere]">
    {children}
  </div>
)
