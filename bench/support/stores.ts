import { join } from 'node:path'
import { builtInFamilies } from '#core/family.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { by } from './by.ts'

export const databaseIn = (folder: string) => join(folder, 'tollgate.db')

const settings = {
  masterKey: Buffer.alloc(32, 7),
  policy: {
    families: builtInFamilies,
    limits: {},
    defaults: {},
    // Said twice: revisions before the output had a policy of its own know the second name only.
    ...{ output: { floor: 8192, share: 0.25, unstated: 1000, least: 64 }, outputDefault: 1000 },
    timeZone: 'UTC',
  },
  instance: 'bench',
}

export function openBenchStore(folder: string): Promise<Store> {
  return openStore({ ...settings, database: { kind: 'sqlite', path: databaseIn(folder) } })
}

/** @param instance tells it from others over the same database */
export function openBenchPostgres(url: string, instance = settings.instance): Promise<Store> {
  return openStore({ ...settings, instance, database: { kind: 'postgres', url } })
}

/** A database whose users' access tokens are `bench-0`, `bench-1` and so on. */
export async function fillUsers(folder: string, count: number): Promise<void> {
  const store = await openBenchStore(folder)
  await writeBenchUsers(store, count)
  await store.close()
}

export async function writeBenchUsers(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += 5000) {
    const writes = Array.from({ length: Math.min(5000, count - from) }, (_, index) => ({
      ref: { accessToken: `bench-${from + index}` },
      edit: { nickname: `user ${from + index}`, quotaLimits: { turbo: 1e12 } },
    }))
    await store.users.writeUsers(writes, by(Date.now() + from))
    if (from % 100_000 === 0 && from > 0) console.error(`  ${from} users written`)
  }
}
