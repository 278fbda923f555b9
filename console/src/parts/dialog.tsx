import { type ReactNode, useEffect, useId, useRef } from 'react'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

/** A native modal dialog: it keeps the focus, and Escape closes it. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string
  onClose: () => void
  children: ReactNode
}) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    ref.current?.showModal()
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onClose={onClose}
      className="m-auto w-[min(560px,calc(100vw-32px))] max-h-[calc(100dvh-32px)] overflow-auto rounded-6 border border-line p-6 shadow-float"
    >
      <div className="mb-4 flex items-start justify-between gap-4">
        <h2 id={id} className="m-0 text-20 font-semibold [overflow-wrap:anywhere]">
          {title}
        </h2>
        <Button look="bare" onClick={onClose} aria-label={t.act.close}>
          ✕
        </Button>
      </div>
      <div className="flex flex-col gap-4">{children}</div>
    </dialog>
  )
}

export const DialogFoot = ({ children }: { children: ReactNode }) => (
  <div className="flex flex-wrap justify-end gap-2 pt-2">{children}</div>
)
