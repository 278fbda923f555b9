import type pg from 'pg'
import type { MeteringAnswer, MeteringBatch } from '#storage/store/metering.ts'
import { breakOff, connect, endConnection } from './connect.ts'
import type { PostgresLedger } from './ledger.ts'
import { explained } from './reasons.ts'
import { breaksConnection, createAttempts, failureOf, isMisplaced } from './retry.ts'
import type { Servers } from './servers.ts'
import { OnlyReads } from './session.ts'

/** Runs each batch on a connection of its own. Few run at a time, so that each batch is full. */
export interface PostgresMetering {
  readonly lanes: number
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  /** Resolves where a batch could be written now; otherwise rejects with the reason. */
  readonly check: () => Promise<void>
  readonly close: () => Promise<void>
}

/** A batch takes milliseconds; after this timeout its callers are told that the store is unavailable. */
const batchMs = 4_000
const connectMs = 3_000
/**
 * Between its two round trips a batch holds the locks of its users. If the second never comes, because the network or
 * this process is gone, the server ends the transaction after this time and other batches go on.
 */
const idleMs = 2_000
/** The readiness check is skipped when a batch was written this recently. */
const justNowMs = 500
/** Measured: while one batch waits for the disk, the next is read; a third lane adds nothing. */
const lanes = 2

/** Statements without names cannot be misplaced; a batch that was sent with names may be retried. */
const misplacedMax = 2

type Attempt =
  | { readonly kind: 'done'; readonly answer: MeteringAnswer }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /** The connection was dead before the batch: it is worth another connection. */
      readonly isStale: boolean
      /** The connection can be used again, so the transaction has been rolled back. */
      readonly isGood: boolean
      /** The commit was sent and not answered: the batch may have been committed. */
      readonly isInDoubt: boolean
    }

interface Taken {
  readonly client: pg.Client
  readonly isFresh: boolean
}

export function openPostgresMetering(servers: Servers, ledger: PostgresLedger): PostgresMetering {
  /** Idle connections; opened when needed, dropped when they break. */
  const free: pg.Client[] = []
  /** When the last batch was written, by the monotonic clock. */
  let doneAt = Number.NEGATIVE_INFINITY

  async function attempt(batch: MeteringBatch): Promise<Attempt> {
    let taken: Taken
    try {
      taken = await take(free, servers)
    } catch (error) {
      return { kind: 'failed', error, isStale: false, isGood: false, isInDoubt: false }
    }
    const { client, isFresh } = taken
    let isCommitting = false
    try {
      const write = await ledger.begin(client, batch)
      isCommitting = true
      const decisions = await write()
      free.push(client)
      doneAt = performance.now()
      return { kind: 'done', answer: { ...decisions, durable: Promise.resolve() } }
    } catch (error) {
      const isGood = !breaksConnection(error) && (await rollBack(client))
      if (isGood) free.push(client)
      else breakOff(client)
      const isStale = !isGood && !isFresh && !isCommitting
      return { kind: 'failed', error, isStale, isGood, isInDoubt: isCommitting && !isGood }
    }
  }

  /** All callers share one check: it may need a connection beyond those of the lanes. */
  let checking: Promise<void> | undefined

  return {
    lanes,
    async runBatch(batch) {
      const attempts = createAttempts(batchMs)
      let misplaced = 0
      for (;;) {
        const tried = await attempt(batch)
        if (tried.kind === 'done') return tried.answer
        const { error, isStale, isGood, isInDoubt } = tried
        if (isGood && isMisplaced(error) && misplaced++ < misplacedMax) {
          servers.forgoNames()
          continue
        }
        // The retries end: each one uses up a stale connection.
        if (isStale || (isGood && (await attempts.again(error)))) continue
        throw failureOf(error, { mayHaveHappened: isInDoubt })
      }
    },
    async check() {
      // All lanes are busy, and a batch was written just now.
      if (free.length === 0 && performance.now() - doneAt < justNowMs) return
      checking ??= checkWith(free, servers).finally(() => {
        checking = undefined
      })
      await checking
    },
    async close() {
      await Promise.all(free.splice(0).map(endConnection))
    },
  }
}

/** One of the idle connections, or a new one. */
async function take(free: pg.Client[], servers: Servers): Promise<Taken> {
  for (let client = free.pop(); client; client = free.pop())
    if (!isBroken(client)) return { client, isFresh: false }
  const client = await connect(servers, { queryMs: batchMs, connectMs, idleMs, isPipelined: true })
  return { client, isFresh: true }
}

async function checkWith(free: pg.Client[], servers: Servers): Promise<void> {
  const { client, isFresh } = await take(free, servers)
  try {
    const { rows } = await client.query("select current_setting('transaction_read_only') as only_reads")
    if (rows[0]?.only_reads === 'on') throw new OnlyReads(servers)
  } catch (error) {
    breakOff(client)
    if (!isFresh) return checkWith(free, servers)
    throw explained(error)
  }
  if (free.length < lanes) free.push(client)
  else await endConnection(client)
}

/** Answers whether the connection can be used again. */
async function rollBack(client: pg.Client): Promise<boolean> {
  try {
    await client.query('rollback')
    return true
  } catch {
    return false
  }
}

function isBroken({ connection }: pg.Client): boolean {
  return connection.stream.destroyed
}
