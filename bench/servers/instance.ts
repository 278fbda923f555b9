import { createSortableId } from '#lib/sortable-id.ts'
import type { Store } from '#storage/store.ts'
import { admissionUs } from '../support/admissions.ts'
import { openLedger } from '../support/open-ledger.ts'
import { openBenchPostgres } from '../support/stores.ts'

/**
 * An instance of its own over the PostgreSQL of `argv[2]`: admits and settles on the parent's orders, as fast as it
 * can.
 */
export type Work =
  /** For this long, over users `bench-0` to `bench-<users - 1>`; returns pairs of admission and settlement a second. */
  | { readonly kind: 'drive'; readonly users: number; readonly ms: number; readonly lanes?: number }
  /** Until the quota of one user is empty; answers the units that were admitted. */
  | { readonly kind: 'exhaust'; readonly accessToken: string }

const atOnce = 512
const units = { model: 'gpt-4o-mini', family: 'turbo', input: 10, output: 100, choices: 1 }

const requestIdAt = () => createSortableId('req_', Date.now())

async function drive(store: Store, { users, ms, lanes }: Work & { kind: 'drive' }): Promise<number> {
  const metering = lanes === undefined ? store.metering : { ...store.metering, lanes }
  const until = performance.now() + ms
  const us = await admissionUs(
    { ...store, metering },
    {
      accessTokenAt: (number) => `bench-${(number * 7919) % users}`,
      asks: Number.POSITIVE_INFINITY,
      atOnce,
      requestIdAt,
      goesOn: () => performance.now() < until,
    },
  )
  return 1e6 / us
}

/** Each request uses all of its reservation, so that a user who is refused once stays refused. */
async function exhaust(store: Store, accessToken: string): Promise<number> {
  const ledger = openLedger(store.metering, Date.now)
  let admitted = 0
  const run = async () => {
    for (;;) {
      const requestId = requestIdAt()
      const more = { address: '192.0.2.1', route: '/v1/chat/completions', isMetered: true }
      const outcome = await ledger.admit({ requestId, accessToken, units, ...more })
      if (outcome.kind === 'refused') return
      admitted += units.input + units.output
      await ledger.settle({
        requestId,
        ending: 'settled',
        usage: { input: units.input, cacheRead: 0, cacheWritten: 0, output: units.output, reasoning: 0 },
        isEstimated: false,
        status: 200,
        durationMs: 1,
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, run))
  await ledger.close()
  return admitted
}

const store = await openBenchPostgres(process.argv[2] ?? '', `bench-${process.pid}`)
process.on('message', (work: Work) => {
  const answer = work.kind === 'drive' ? drive(store, work) : exhaust(store, work.accessToken)
  void answer.then((figure) => process.send?.(figure))
})
process.on('SIGTERM', () => void store.close().then(() => process.exit(0)))
process.send?.('up')
