import { useEffect, useRef } from 'react'

const kept = 'tollgate-keys'
export const areKeysOn = () => localStorage.getItem(kept) !== 'off'
export const switchKeys = (isOn: boolean) => localStorage.setItem(kept, isOn ? 'on' : 'off')

/** Single keys, but not while a field has the focus or a dialog is open. They can be switched off in the settings. */
export function useKeys(actions: Readonly<Record<string, () => unknown>>): void {
  const latest = useRef(actions)
  latest.current = actions
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!areKeysOn() || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      const { target } = event
      if (
        !(target instanceof Element) ||
        target.closest('input, textarea, select, button, a, dialog, [role=tab]')
      ) {
        const isBox = target instanceof HTMLInputElement && target.type === 'checkbox'
        if (!isBox) return
      }
      const action = latest.current[event.key]
      if (!action) return
      event.preventDefault()
      action()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}
