import type pg from 'pg'
import { breakOff, connect } from '#storage/postgres/connect.ts'
import type { Servers } from '#storage/postgres/servers.ts'
import { createEcho } from './echo.ts'
import { createGap } from './gap.ts'
import { keepConnection } from './kept-connection.ts'

/**
 * Listens on the channels between instances, over a connection of its own. Silence on that connection proves nothing:
 * a transaction pooler accepts LISTEN and delivers no notification. So the listener sends itself an echo through the
 * channel. While no echo arrives, it keeps reporting that notifications may have been missed.
 */
export interface Listener {
  /** Returns a function that stops it. The first listener opens the connection. */
  readonly hear: (channel: string, ears: Ears) => () => void
  readonly state: () => ChannelState
  readonly close: () => Promise<void>
}

/**
 * `away`: there is no connection; `deaf`: there is one, but notifications sent over another connection do not arrive.
 */
export type ChannelState = 'away' | 'deaf' | 'heard'

interface Ears {
  readonly said: (words: string) => void
  /** Notifications may have been sent and not received. */
  readonly missed?: () => void
}

const echoEveryMs = 5_000
const answerMs = 2_000
/** One late echo may come from a busy server; a pooler that drops notifications is late every time. */
const deafAfter = 2

export interface ListenerOptions {
  readonly channels: readonly string[]
  /** Sends a notification on a channel, over another connection. */
  readonly tell: (channel: string, words: string) => Promise<unknown>
  /** Called when notifications stop arriving, and when they arrive again. */
  readonly onChange?: (state: ChannelState) => void
}

/** @param servers where it listens, without a pooler if possible */
export function createListener(servers: Servers, { channels, tell, onChange }: ListenerOptions): Listener {
  const all = new Map<string, Set<Ears>>(channels.map((channel) => [channel, new Set()]))
  const echo = createEcho(tell)
  const gap = createGap(() => {
    for (const ears of all.values()) for (const { missed } of ears) missed?.()
  })
  const connection = keepConnection({
    open: () => listenOn(servers, [...channels, echo.channel], receive),
    onOpening: gap.begin,
    onOpen: (client) => void check(client),
    onLost() {
      clearTimeout(next)
      enter('away')
    },
  })
  let state: ChannelState = 'away'
  let next: NodeJS.Timeout | undefined
  let isClosed = false

  function receive(channel: string, words: string): void {
    if (channel === echo.channel) echo.heard(words)
    for (const { said } of all.get(channel) ?? []) said(words)
  }

  function enter(changed: ChannelState): void {
    if (isClosed) return
    if (changed === 'heard') gap.end()
    else gap.begin()
    if (changed === state) return
    state = changed
    onChange?.(state)
  }

  async function check(at: pg.Client, silences = 0): Promise<void> {
    const isOver = () => isClosed || connection.client() !== at
    const answer = await echo.ask()
    if (isOver()) return
    if (answer !== 'heard') {
      gap.begin()
      // The network may have dropped the connection without a word.
      if (!(await answers(at))) return connection.lose(at)
      if (isOver()) return
    }
    const silent = answer === 'silent' ? silences + 1 : 0
    if (answer === 'heard') enter('heard')
    else if (silent >= deafAfter) enter('deaf')
    next = setTimeout(() => void check(at, silent), silent === 1 ? 0 : echoEveryMs)
  }

  return {
    hear(channel, ears) {
      all.get(channel)?.add(ears)
      connection.start()
      return () => all.get(channel)?.delete(ears)
    },
    state: () => state,
    async close() {
      isClosed = true
      gap.close()
      clearTimeout(next)
      await connection.close()
    },
  }
}

/** Opens a connection that listens on these channels. */
async function listenOn(
  servers: Servers,
  channels: readonly string[],
  receive: (channel: string, words: string) => void,
): Promise<pg.Client> {
  const client = await connect(servers, {
    queryMs: answerMs,
    connectMs: answerMs,
    isPipelined: false,
    name: 'tollgate listener',
  })
  client.on('notification', ({ channel, payload = '' }) => receive(channel, payload))
  try {
    for (const channel of channels) await client.query(`listen ${channel}`)
    return client
  } catch (error) {
    breakOff(client)
    throw error
  }
}

/** Whether the server answers over this connection. */
function answers(client: pg.Client): Promise<boolean> {
  return client.query('select 1').then(
    () => true,
    () => false,
  )
}
