import { randomBytes } from 'node:crypto'

/** A notification that a listener sends to itself, to learn whether notifications arrive. */
export interface Echo {
  /** A channel of its own, which no other instance has to read. */
  readonly channel: string
  /** `untold`: no other connection could send it, which says nothing about the one that listens. */
  readonly ask: () => Promise<'heard' | 'silent' | 'untold'>
  /** To be called with what arrives on the channel. */
  readonly heard: (words: string) => void
}

/** An echo that takes longer counts as missing; the next one follows soon after. */
const echoMs = 1_000

/** @param tell sends a notification on a channel, over another connection */
export function createEcho(tell: (channel: string, words: string) => Promise<unknown>): Echo {
  const channel = `tollgate_echo_${randomBytes(8).toString('hex')}`
  let awaited: { readonly nonce: string; readonly heard: () => void } | undefined
  return {
    channel,
    async ask() {
      const nonce = randomBytes(8).toString('hex')
      const { promise, resolve } = Promise.withResolvers<'heard' | 'silent' | 'untold'>()
      const timer = setTimeout(() => resolve('silent'), echoMs)
      awaited = { nonce, heard: () => resolve('heard') }
      tell(channel, nonce).catch(() => resolve('untold'))
      const answer = await promise
      clearTimeout(timer)
      return answer
    },
    heard(words) {
      if (words === awaited?.nonce) awaited.heard()
    },
  }
}
