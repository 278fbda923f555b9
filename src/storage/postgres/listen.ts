import type pg from 'pg'
import { anybody, channel } from './announce.ts'
import { connect, endConnection } from './connect.ts'

/**
 * Hears from other instances whom they have changed. While the connection for it is away nobody knows what was
 * missed, so that again and again anybody may have been changed, until it is back.
 */
export interface Listener {
  readonly close: () => Promise<void>
}

/** Well within the second in which a disabled user's streams have to end. */
const pollMs = 400
/** Asked now and then, since a connection that the network has swallowed looks like one on which nothing comes. */
const probeMs = 5_000
const answerMs = 2_000

/** @param onChanged told the users' ids, or `anybody` */
export function openListener(url: string, onChanged: (ids: readonly string[] | 'anybody') => void): Listener {
  let client: pg.Client | undefined
  let probe: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false
  let connecting: Promise<void> | undefined

  function lose(): void {
    if (!client || isClosed) return
    const lost = client
    client = undefined
    clearInterval(probe)
    void endConnection(lost)
    start()
  }

  async function listen(): Promise<void> {
    const fresh = await connect(url, { queryMs: answerMs, connectMs: answerMs, isPipelined: false })
    fresh.on('notification', ({ payload = '' }) => {
      onChanged(payload === anybody ? 'anybody' : payload.split(' '))
    })
    fresh.on('error', lose)
    fresh.on('end', lose)
    await fresh.query(`listen ${channel}`)
    if (isClosed) return endConnection(fresh)
    client = fresh
    probe = setInterval(() => {
      fresh.query('select 1').catch(lose)
    }, probeMs)
    // What was said before this is heard by nobody.
    onChanged('anybody')
  }

  function start(): void {
    connecting ??= listen()
      .catch(() => {
        if (isClosed) return
        onChanged('anybody')
        retry = setTimeout(start, pollMs)
      })
      .finally(() => {
        connecting = undefined
      })
  }

  start()
  return {
    async close() {
      isClosed = true
      clearTimeout(retry)
      clearInterval(probe)
      await connecting
      if (client) await endConnection(client)
    },
  }
}
