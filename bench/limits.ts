import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { UserEdit } from '#core/user-edit.ts'
import { admissionUs } from './support/admissions.ts'
import { by } from './support/by.ts'
import { median, report } from './support/report.ts'
import { cpuUsEach, type Side, timeOf } from './support/side.ts'
import { openBenchStore } from './support/stores.ts'

/** What all the limits together cost an admission, against the quota alone. */
const users = 1000
const asksARound = 20_000
const rounds = 9

const quotaAlone: UserEdit = { quotaLimits: { turbo: 1e12 } }
const allLimits: UserEdit = {
  ...quotaAlone,
  expiresAt: Date.now() + 1e10,
  limits: {
    requestsPerMinute: 1_000_000,
    concurrentRequests: 1000,
    maxIps: 10,
    ipWindowDays: 30,
    ipLimitAction: 'disable',
    allowedNetworks: ['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32'],
    allowedModels: ['claude', 'gpt-*'],
    period: 'monthly',
  },
}
const kinds = { quota: quotaAlone, all: allLimits }

interface Limited {
  /** Microseconds for an admission with its settlement. */
  readonly drive: (kind: keyof typeof kinds, asks: number) => Promise<number>
  readonly close: () => Promise<void>
}

/** A store with users of each kind, each with one admission already. */
async function openLimited(): Promise<Limited> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  const store = await openBenchStore(folder)
  for (const [kind, edit] of Object.entries(kinds)) {
    const writes = Array.from({ length: users }, (_, index) => ({
      ref: { accessToken: `${kind}-${index}` },
      edit,
    }))
    await store.users.writeUsers(writes, by(Date.now()))
  }
  const limited: Limited = {
    drive: (kind, asks) =>
      admissionUs(store, {
        asks,
        accessTokenAt: (number) => `${kind}-${number % users}`,
        // Each user has been seen at several addresses, as people on the move are.
        addressAt: (number) => `192.0.2.${1 + (Math.floor(number / users) % 5)}`,
      }),
    async close() {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await limited.drive('quota', asksARound)
  await limited.drive('all', asksARound)
  return limited
}

export async function benchLimits(): Promise<boolean> {
  const limited = await openLimited()
  try {
    const pairs: (readonly [number, number])[] = []
    for (let round = 0; round < rounds; round++)
      pairs.push([await limited.drive('quota', asksARound), await limited.drive('all', asksARound)])
    const ratios = pairs.map(([quota, all]) => all / quota)
    return report('limits: all of them against the quota alone', [
      { what: 'admission and settlement, quota alone', value: median(pairs.map(([one]) => one)), unit: 'us' },
      { what: 'with every limit', value: median(pairs.map(([, other]) => other)), unit: 'us' },
      { what: 'ratio', value: median(ratios), unit: 'x', atMost: 1.25 },
    ])
  } finally {
    await limited.close()
  }
}

export async function openSide(): Promise<Side> {
  const limited = await openLimited()
  const asks = 3000
  const measure = async (kind: keyof typeof kinds, what: string) => {
    let us = Number.NaN
    const cpuUs = await cpuUsEach(asks, async () => {
      us = await limited.drive(kind, asks)
    })
    return [timeOf(what, us, 'us'), timeOf(`${what}: CPU`, cpuUs, 'us')]
  }
  return {
    round: async () => [
      ...(await measure('quota', 'admission, settlement: quota alone')),
      ...(await measure('all', 'admission, settlement: every limit')),
    ],
    close: limited.close,
  }
}
