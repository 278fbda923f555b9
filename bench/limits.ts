import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInFamilies } from '#core/family.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { openStore } from '#storage/open.ts'
import { admissionUs } from './support/admissions.ts'
import { median, report } from './support/report.ts'

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

export async function benchLimits(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  const store = await openStore({
    database: { kind: 'sqlite', path: join(folder, 'tollgate.db') },
    masterKey: Buffer.alloc(32, 7),
    policy: { families: builtInFamilies, limits: {}, defaults: {}, outputDefault: 1000, timeZone: 'UTC' },
    instance: 'bench',
  })
  try {
    for (const [name, edit] of [
      ['quota', quotaAlone],
      ['all', allLimits],
    ] as const) {
      const writes = Array.from({ length: users }, (_, index) => ({
        ref: { accessToken: `${name}-${index}` },
        edit,
      }))
      await store.users.writeUsers(writes, Date.now())
    }
    const drive = (name: string) =>
      admissionUs(store, {
        asks: asksARound,
        accessTokenAt: (number) => `${name}-${number % users}`,
        // Each user has been seen at several addresses, as people on the move are.
        addressAt: (number) => `192.0.2.${1 + (Math.floor(number / users) % 5)}`,
      })
    await drive('quota')
    await drive('all')
    const pairs: (readonly [number, number])[] = []
    for (let round = 0; round < rounds; round++) pairs.push([await drive('quota'), await drive('all')])
    const ratios = pairs.map(([quota, all]) => all / quota)
    return report('limits: all of them against the quota alone', [
      { what: 'admission and settlement, quota alone', value: median(pairs.map(([one]) => one)), unit: 'us' },
      { what: 'with every limit', value: median(pairs.map(([, other]) => other)), unit: 'us' },
      { what: 'ratio', value: median(ratios), unit: 'x', atMost: 1.25 },
    ])
  } finally {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
