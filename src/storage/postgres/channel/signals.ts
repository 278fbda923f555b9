import type { Pool } from '#storage/postgres/connect.ts'
import type { Signals } from '#storage/store.ts'
import type { Listener } from './listen.ts'

/** The channel on which instances tell each other what nobody keeps. */
export const signalChannel = 'tollgate_signals'

/** Few enough messages for a server that passes each on to every instance, soon enough for who is attacked. */
const gatherMs = 50
/** A message holds 8000 bytes at most. What is more than one holds is forgotten, the oldest first: nobody relies on it. */
const bytesMax = 7_500

type Said = readonly [topic: string, words: string]

/**
 * Signals by NOTIFY, gathered. They are lost while the database is away, and nobody waits for them.
 *
 * @param instance whose own signals are not heard again
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

/** Anybody who may connect to the database may send anything here. */
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
