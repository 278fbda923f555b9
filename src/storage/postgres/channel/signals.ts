import type { Pool } from '#storage/postgres/connect.ts'
import type { Signals } from '#storage/store.ts'
import type { Listener } from './listen.ts'

/** The NOTIFY channel for signals between instances, which are stored nowhere. */
export const signalChannel = 'tollgate_signals'

/** One message per interval keeps the load on the server low, and is soon enough for an instance under attack. */
const gatherMs = 50
/**
 * The payload of a NOTIFY is limited to 8000 bytes. Beyond this the oldest signals are dropped: they are only hints.
 */
const bytesMax = 7_500

type Said = readonly [topic: string, words: string]

/**
 * Signals by NOTIFY, several in one message. They are lost while the database is away, and sending does not wait.
 *
 * @param instance the own instance, whose signals are ignored when they come back
 */
export function createSignals(
  pool: Pool,
  listener: Listener,
  instance: string,
): Signals & { readonly close: () => void } {
  let waiting: Said[] = []
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    timer = undefined
    const message = messageOf(instance, waiting)
    waiting = []
    pool.ask('select pg_notify($1, $2)', [signalChannel, message]).catch(() => undefined)
  }

  return {
    tell(topic, words) {
      waiting.push([topic, words])
      timer ??= setTimeout(flush, gatherMs).unref()
    },
    hear(topic, said) {
      return listener.hear(signalChannel, {
        said(message) {
          for (const [about, words] of read(message, instance)) if (about === topic) said(words)
        },
      })
    },
    close: () => clearTimeout(timer),
  }
}

function messageOf(instance: string, said: readonly Said[]): string {
  const kept: Said[] = []
  let bytes = Buffer.byteLength(JSON.stringify([instance, []]))
  for (const one of said.toReversed()) {
    bytes += Buffer.byteLength(JSON.stringify(one)) + 1
    if (bytes > bytesMax) break
    kept.unshift(one)
  }
  return JSON.stringify([instance, kept])
}

/** Any client of the database can send on this channel, so every message is checked. */
function read(message: string, instance: string): readonly Said[] {
  try {
    const [from, said]: unknown[] = JSON.parse(message)
    return from === instance || !Array.isArray(said) ? [] : said.filter(isSaid)
  } catch {
    return []
  }
}

function isSaid(one: unknown): one is Said {
  return Array.isArray(one) && one.length === 2 && one.every((each) => typeof each === 'string')
}
