import type { By } from '#core/change.ts'

/** What a test itself writes, at an instant. */
export function by(now: number): By {
  return { now, actor: { kind: 'command_line', name: 'test' } }
}
