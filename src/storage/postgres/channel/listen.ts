import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { connect, endConnection } from '#storage/postgres/connect.ts'
import type { Servers } from '#storage/postgres/servers.ts'

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

/** Well within the second in which a disabled user's streams have to end. */
const pollMs = 400
const echoEveryMs = 5_000
/** An echo that takes longer counts as missing; the next one follows soon after. */
const echoMs = 1_000
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

export function createListener(servers: Servers, { channels, tell, onChange }: ListenerOptions): Listener {
  const all = new Map<string, Set<Ears>>(channels.map((channel) => [channel, new Set()]))
  /** A channel of its own, which no other instance has to read. */
  const echoes = `tollgate_echo_${randomBytes(8).toString('hex')}`
  let client: pg.Client | undefined
  let state: ChannelState = 'away'
  let poll: NodeJS.Timeout | undefined
  let next: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false
  let connecting: Promise<void> | undefined
  let awaited: { readonly nonce: string; readonly heard: () => void } | undefined

  function tellOfGap(): void {
    for (const ears of all.values()) for (const { missed } of ears) missed?.()
  }

  function startPolling(): void {
    poll ??= setInterval(tellOfGap, pollMs)
  }

  function enter(changed: ChannelState): void {
    if (isClosed) return
    if (changed !== 'heard') startPolling()
    else if (poll) {
      clearInterval(poll)
      poll = undefined
      // Notifications that were sent just before this were not received.
      tellOfGap()
    }
    if (changed === state) return
    state = changed
    onChange?.(state)
  }

  function lose(lost: pg.Client): void {
    if (client !== lost || isClosed) return
    client = undefined
    clearTimeout(next)
    void endConnection(lost)
    enter('away')
    start()
  }

  /** `untold`: no other connection could send the echo, which says nothing about this one. */
  async function awaitEcho(): Promise<'heard' | 'silent' | 'untold'> {
    const nonce = randomBytes(8).toString('hex')
    const { promise, resolve } = Promise.withResolvers<'heard' | 'silent' | 'untold'>()
    const timer = setTimeout(() => resolve('silent'), echoMs)
    awaited = { nonce, heard: () => resolve('heard') }
    tell(echoes, nonce).catch(() => resolve('untold'))
    const echo = await promise
    clearTimeout(timer)
    return echo
  }

  async function check(at: pg.Client, silences = 0): Promise<void> {
    const echo = await awaitEcho()
    if (isClosed || client !== at) return
    if (echo !== 'heard') {
      startPolling()
      // The network may have dropped the connection without a word.
      const isThere = await at.query('select 1').then(
        () => true,
        () => false,
      )
      if (!isThere) return lose(at)
      if (client !== at) return
    }
    const silent = echo === 'silent' ? silences + 1 : 0
    if (echo === 'heard') enter('heard')
    else if (silent >= deafAfter) enter('deaf')
    next = setTimeout(() => void check(at, silent), silent === 1 ? 0 : echoEveryMs)
  }

  async function listen(): Promise<void> {
    const fresh = await connect(servers, {
      queryMs: answerMs,
      connectMs: answerMs,
      isPipelined: false,
      name: 'tollgate listener',
    })
    fresh.on('notification', ({ channel, payload = '' }) => {
      if (channel === echoes && payload === awaited?.nonce) awaited.heard()
      for (const { said } of all.get(channel) ?? []) said(payload)
    })
    fresh.on('error', () => lose(fresh))
    fresh.on('end', () => lose(fresh))
    for (const channel of [...channels, echoes]) await fresh.query(`listen ${channel}`)
    if (isClosed) return endConnection(fresh)
    client = fresh
    void check(fresh)
  }

  function start(): void {
    if (client || retry) return
    startPolling()
    connecting ??= listen()
      .catch(() => {
        if (isClosed) return
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
    state: () => state,
    async close() {
      isClosed = true
      clearInterval(poll)
      clearTimeout(retry)
      clearTimeout(next)
      await connecting
      if (client) await endConnection(client)
    },
  }
}
