import { join } from 'node:path'
import { keepMasterKey } from '#config/master-key.ts'
import type { Config } from '#config/settings.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'

export function databasePathIn(dataDir: string): string {
  return join(dataDir, 'tollgate.db')
}

export function masterKeyPathIn(dataDir: string): string {
  return join(dataDir, 'master.key')
}

/** The store as the configuration states it, with its master key found or made; for the server and the commands. */
export function openConfiguredStore(config: Config, instance: string): Promise<Store> {
  return openStore({
    database:
      config.databaseUrl === undefined
        ? { kind: 'sqlite', path: databasePathIn(config.dataDir) }
        : { kind: 'postgres', url: config.databaseUrl },
    masterKey: config.masterKey ?? keepMasterKey(masterKeyPathIn(config.dataDir)).key,
    policy: config.policy,
    instance,
  })
}
