import type { Log } from '#http/log.ts'
import type { AdminContext } from './context.ts'

/** Logs the rows that an answer leaves out since they cannot be read, and returns what can. */
export function logUnreadable<Part extends { readonly unreadable?: readonly unknown[] }>(
  part: Part,
  c: AdminContext,
  log: Log,
  sentence: string,
): Part {
  const { unreadable } = part
  if (unreadable) log.error({ requestId: c.get('requestId'), unreadable }, sentence)
  return part
}

/**
 * What a streamed answer does where it cannot go on after its status: it is logged, and the connection is cut, since
 * without the last chunk the client can tell that the answer is incomplete. `open`: there is no connection to cut.
 */
export function cutOnFailure(
  c: AdminContext,
  log: Log,
  sentence: string,
): (error: unknown) => 'cut' | 'open' {
  const requestId = c.get('requestId')
  const outgoing = c.env?.outgoing
  return (error) => {
    log.error({ err: error, requestId }, sentence)
    outgoing?.destroy()
    return outgoing ? 'cut' : 'open'
  }
}
