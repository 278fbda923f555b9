import type { Store } from '#storage/store.ts'
import { openLedger } from './open-ledger.ts'

export interface Drive {
  readonly accessTokenAt: (number: number) => string
  readonly asks: number
  /** Admissions at the same time. */
  readonly atOnce?: number
  readonly addressAt?: (number: number) => string
  readonly requestIdAt?: (number: number) => string
  /** Ends it early. */
  readonly goesOn?: () => boolean
  /** Told how long each admission took, until it was on the disk. */
  readonly took?: (ms: number) => void
}

let drives = 0

/** Microseconds for an admission with its settlement, asked by many at once; throws where one is refused. */
export async function admissionUs(store: Store, drive: Drive): Promise<number> {
  const { accessTokenAt, asks, atOnce = 64, addressAt = () => '192.0.2.1' } = drive
  const { goesOn = () => true, took } = drive
  const name = `bench-${process.pid}-${++drives}`
  const ledger = openLedger(store.metering, Date.now)
  let asked = 0
  const run = async () => {
    while (asked < asks && goesOn()) {
      const number = asked++
      const requestId = drive.requestIdAt?.(number) ?? `${name}-${number}`
      const askedAt = performance.now()
      const outcome = await ledger.admit({
        requestId,
        accessToken: accessTokenAt(number),
        address: addressAt(number),
        route: '/v1/chat/completions',
        isMetered: true,
        units: { model: 'gpt-4o-mini', family: 'turbo', input: 10, output: 100, choices: 1 },
      })
      if (outcome.kind !== 'admitted') throw new Error(outcome.message)
      if (took) {
        await outcome.durable
        took(performance.now() - askedAt)
      }
      await ledger.settle({
        requestId,
        ending: 'settled',
        usage: { input: 9, cacheRead: 0, cacheWritten: 0, output: 12, reasoning: 0 },
        isEstimated: false,
        status: 200,
        durationMs: 1,
      })
    }
  }
  const begin = performance.now()
  await Promise.all(Array.from({ length: atOnce }, run))
  const us = ((performance.now() - begin) * 1000) / asked
  await ledger.close()
  return us
}
