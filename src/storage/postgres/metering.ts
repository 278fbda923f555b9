import type pg from 'pg'
import { type MeteringAnswer, type MeteringBatch, StoreUnavailable } from '../store.ts'
import { connect } from './connect.ts'
import type { PostgresLedger } from './ledger.ts'
import { mayPass, waitBriefly } from './retry.ts'

/** Runs each batch on a connection of its own; few at a time, so that each is full. */
export interface PostgresMetering {
  readonly lanes: number
  readonly runBatch: (batch: MeteringBatch) => Promise<MeteringAnswer>
  readonly close: () => Promise<void>
}

/** A batch takes milliseconds; who waits longer is told that the store is away. */
const batchMs = 4_000
const attemptsMax = 6
/** Measured: while one batch waits for the disk the next is read; a third brings nothing more. */
const lanes = 2

export function openPostgresMetering(url: string, ledger: PostgresLedger): PostgresMetering {
  /** Connections that nobody uses; made as they are needed, and gone when they break. */
  const free: pg.Client[] = []

  async function take(): Promise<pg.Client> {
    for (let client = free.pop(); client; client = free.pop()) if (!isBroken(client)) return client
    try {
      return await connect(url, { queryMs: batchMs, isPipelined: true })
    } catch (error) {
      throw new StoreUnavailable(error)
    }
  }

  async function attempt(batch: MeteringBatch, left: number): Promise<MeteringAnswer> {
    const client = await take()
    try {
      const decisions = await ledger.runBatch(client, batch)
      free.push(client)
      return { ...decisions, durable: Promise.resolve() }
    } catch (error) {
      const isGood = await rollBack(client)
      if (isGood) free.push(client)
      else breakOff(client)
      const mayHelp = isGood && mayPass(error) && left > 0
      // Without an answer to the commit nobody knows whether it was one.
      if (!mayHelp) throw new StoreUnavailable(error, { mayHaveHappened: !isGood })
    }
    await waitBriefly()
    return attempt(batch, left - 1)
  }

  return {
    lanes,
    runBatch: (batch) => attempt(batch, attemptsMax - 1),
    async close() {
      await Promise.all(free.splice(0).map((client) => client.end().catch(() => undefined)))
    },
  }
}

/** Answers whether the connection is good for more. */
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

/** At once: a farewell would wait for a network that may be gone. */
function breakOff({ connection }: pg.Client): void {
  connection.stream.destroy()
}
