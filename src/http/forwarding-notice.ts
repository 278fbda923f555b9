import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { createNetworks, parseAddress } from '#core/network.ts'
import { makeRoom } from '#lib/make-room.ts'
import type { Log } from './log.ts'

/**
 * Tells the operator of forwarding headers that have no effect: those of a peer that is no trusted proxy, and those of a
 * trusted one that Tollgate does not read. Without the notice a forgotten setting shows only in its effects: all users
 * share one address.
 *
 * Each peer is told of once. Any client can send such headers, so what is remembered is bounded, and so is the pace.
 */
export type ForwardingNotice = (request: IncomingMessage) => void

export interface NoticeOptions {
  readonly trustedProxies: readonly string[]
  readonly log: Log
  /** Monotonic, in milliseconds. */
  readonly now: () => number
}

const peersMax = 1024
const everyMs = 10_000

/** The header that is read, then those of other proxies. */
const read = 'x-forwarded-for'
const others = ['forwarded', 'x-real-ip'] as const

export function createForwardingNotice({ trustedProxies, log, now }: NoticeOptions): ForwardingNotice {
  const isTrusted = createNetworks(trustedProxies)
  /** Peers that were told of, and trusted ones with nothing to tell, as the socket writes them. */
  const known = new Set<string>()
  let nextAt = Number.NEGATIVE_INFINITY

  return ({ headers, socket }) => {
    if (headers[read] === undefined && headers.forwarded === undefined && headers['x-real-ip'] === undefined)
      return
    const peer = socket.remoteAddress
    if (peer === undefined || known.has(peer)) return
    const address = parseAddress(peer)
    if (address === undefined) return
    const sentence = sentenceFor(address, isTrusted(address), headers)
    if (sentence !== undefined) {
      if (now() < nextAt) return
      nextAt = now() + everyMs
      log.warn({ peer: address, headers: sentIn(headers) }, sentence)
    }
    makeRoom(known, peersMax)
    known.add(peer)
  }
}

function sentenceFor(address: string, isTrusted: boolean, headers: IncomingHttpHeaders): string | undefined {
  if (!isTrusted)
    return (
      'forwarding headers come from an address that is no trusted proxy, and are ignored: its requests count as from ' +
      `this address. If your proxy has it, add it to TRUSTED_PROXIES (TRUSTED_PROXIES=${address}); if a client has ` +
      'it, nothing needs to be done'
    )
  if (headers[read] !== undefined) return undefined
  return (
    'a trusted proxy sends forwarding headers, and none that is read: its requests count as from its own address. ' +
    'Let it send X-Forwarded-For'
  )
}

function sentIn(headers: IncomingHttpHeaders): readonly string[] {
  return [read, ...others].filter((name) => headers[name] !== undefined)
}
