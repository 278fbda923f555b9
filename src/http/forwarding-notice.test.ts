import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import { createForwardingNotice } from './forwarding-notice.ts'
import { createLog } from './log.ts'

type Headers = Readonly<Record<string, string>>

function open(trustedProxies: readonly string[]) {
  const lines: Record<string, unknown>[] = []
  const log = createLog({
    level: 'info',
    destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  })
  const clock = { now: 0 }
  const notice = createForwardingNotice({ trustedProxies, log, now: () => clock.now })
  const from = (peer: string | undefined, headers: Headers) => {
    clock.now += 60_000
    notice({ headers, socket: { remoteAddress: peer } } as unknown as IncomingMessage)
  }
  const sent = (peer: string, headers: Headers) =>
    notice({ headers, socket: { remoteAddress: peer } } as unknown as IncomingMessage)
  return { lines, clock, from, sent }
}

const forwarded = { 'x-forwarded-for': '203.0.113.9' }

describe('the notice of forwarding headers', () => {
  it('names the peer and what to set, once, and no value of a header', () => {
    const { lines, from } = open(['10.0.0.0/8'])
    for (let times = 0; times < 3; times += 1) from('::ffff:192.0.2.5', forwarded)
    assert.equal(lines.length, 1)
    assert.equal(lines[0]?.level, 'warn')
    assert.equal(lines[0]?.peer, '192.0.2.5')
    assert.deepEqual(lines[0]?.headers, ['x-forwarded-for'])
    assert.match(String(lines[0]?.msg), /TRUSTED_PROXIES=192\.0\.2\.5/)
    assert.ok(!JSON.stringify(lines).includes('203.0.113.9'))
  })

  it('tells of each header that proxies write', () => {
    const { lines, from } = open([])
    from('192.0.2.1', { forwarded: 'for=203.0.113.9' })
    from('192.0.2.2', { 'x-real-ip': '203.0.113.9' })
    assert.deepEqual(
      lines.map(({ headers }) => headers),
      [['forwarded'], ['x-real-ip']],
    )
  })

  it('is silent for a trusted proxy, and for requests without such headers', () => {
    const { lines, from } = open(['10.0.0.0/8', '2001:db8::1'])
    from('10.1.2.3', forwarded)
    from('2001:db8:0::1', forwarded)
    from('192.0.2.1', {})
    from(undefined, forwarded)
    assert.deepEqual(lines, [])
  })

  it('says of a trusted proxy that it sends nothing that is read', () => {
    const { lines, from } = open(['10.0.0.0/8'])
    from('10.1.2.3', { 'x-real-ip': '203.0.113.9' })
    assert.match(String(lines[0]?.msg), /Let it send X-Forwarded-For$/)
    assert.equal(lines.length, 1)
  })

  it('is written six times a minute at most; a peer that had to wait is told of later', () => {
    const { lines, clock, sent } = open([])
    for (let second = 0; second < 60; second += 1) {
      clock.now = second * 1000
      for (let peer = 0; peer < 20; peer += 1) sent(`192.0.2.${peer}`, forwarded)
    }
    assert.equal(lines.length, 6)
    clock.now = 60_000
    sent('192.0.2.19', forwarded)
    assert.equal(lines.at(-1)?.peer, '192.0.2.19')
  })

  it('remembers a thousand peers, and forgets the oldest first', () => {
    const { lines, from } = open([])
    const peer = (number: number) => `10.0.${number >> 8}.${number & 255}`
    for (let number = 0; number < 1024; number += 1) from(peer(number), forwarded)
    from(peer(0), forwarded)
    assert.equal(lines.length, 1024)
    from(peer(1024), forwarded)
    from(peer(1), forwarded)
    assert.equal(lines.length, 1025)
    from(peer(0), forwarded)
    assert.equal(lines.length, 1026)
  })
})
