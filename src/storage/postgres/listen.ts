import type pg from 'pg'
import { connect, endConnection } from './connect.ts'

/**
 * Hears what instances tell each other, over a connection of its own. While that is away nobody knows what was missed,
 * and whom it concerns is told so again and again until it is back.
 */
export interface Listener {
  /** Answers how to stop. The connection is made when somebody wants to hear. */
  readonly hear: (channel: string, ears: Ears) => () => void
  readonly close: () => Promise<void>
}

interface Ears {
  readonly said: (words: string) => void
  /** Something may have been said and not been heard. */
  readonly missed?: () => void
}

/** Well within the second in which a disabled user's streams have to end. */
const pollMs = 400
/** Asked now and then, since a connection that the network has swallowed looks like one on which nothing comes. */
const probeMs = 5_000
const answerMs = 2_000

export function createListener(url: string, channels: readonly string[]): Listener {
  const all = new Map<string, Set<Ears>>(channels.map((channel) => [channel, new Set()]))
  let client: pg.Client | undefined
  let probe: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false
  let connecting: Promise<void> | undefined

  function tellOfGap(): void {
    for (const ears of all.values()) for (const { missed } of ears) missed?.()
  }

  function lose(): void {
    if (!client || isClosed) return
    const lost = client
    client = undefined
    clearInterval(probe)
    void endConnection(lost)
    start()
  }

  async function listen(): Promise<void> {
    const fresh = await connect(url, {
      queryMs: answerMs,
      connectMs: answerMs,
      isPipelined: false,
      name: 'tollgate listener',
    })
    fresh.on('notification', ({ channel, payload = '' }) => {
      for (const { said } of all.get(channel) ?? []) said(payload)
    })
    fresh.on('error', lose)
    fresh.on('end', lose)
    for (const channel of channels) await fresh.query(`listen ${channel}`)
    if (isClosed) return endConnection(fresh)
    client = fresh
    probe = setInterval(() => {
      fresh.query('select 1').catch(lose)
    }, probeMs)
    // What was said before this is heard by nobody.
    tellOfGap()
  }

  function start(): void {
    if (client || retry) return
    connecting ??= listen()
      .catch(() => {
        if (isClosed) return
        tellOfGap()
        retry = setTimeout(() => {
          retry = undefined
          start()
        }, pollMs)
      })
      .finally(() => {
        connecting = undefined
      })
  }

  return {
    hear(channel, ears) {
      all.get(channel)?.add(ears)
      start()
      return () => all.get(channel)?.delete(ears)
    },
    async close() {
      isClosed = true
      clearTimeout(retry)
      clearInterval(probe)
      await connecting
      if (client) await endConnection(client)
    },
  }
}
