import { Component, type ReactNode } from 'react'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

/** A page that cannot be drawn or loaded, such as after an update of the server, leaves the rail standing. */
export class Catch extends Component<{ children: ReactNode }, { readonly isBroken: boolean }> {
  override state = { isBroken: false }

  static getDerivedStateFromError() {
    return { isBroken: true }
  }

  override render() {
    if (!this.state.isBroken) return this.props.children
    return (
      <div
        role="alert"
        className="flex flex-wrap items-center gap-3 rounded-6 bg-stop-quiet px-3 py-2 text-stop"
      >
        <span>{t.state.broken}</span>
        <Button onClick={() => location.reload()}>{t.act.reload}</Button>
      </div>
    )
  }
}
