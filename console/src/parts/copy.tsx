import { useState } from 'react'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

export function CopyButton({ text, label = t.act.copy }: { text: string; label?: string }) {
  const [shown, setShown] = useState(label)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setShown(t.act.copied)
    } catch {
      // The browser may forbid it.
      setShown(t.act.notCopied)
    }
    setTimeout(() => setShown(label), 2000)
  }
  return (
    <Button onClick={() => void copy()}>
      <span aria-live="polite">{shown}</span>
    </Button>
  )
}

/** A secret or an id in one line, with the button that copies it. */
export function Copyable({ text }: { text: string }) {
  return (
    <div className="flex items-center gap-2">
      <code className="min-w-0 flex-1 rounded-6 border border-line bg-quiet px-2 py-1 font-mono text-13 [overflow-wrap:anywhere]">
        {text}
      </code>
      <CopyButton text={text} />
    </div>
  )
}
