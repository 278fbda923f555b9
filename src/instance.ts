import { keepMasterKey } from '#config/master-key.ts'
import type { Config } from '#config/settings.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { databasePathIn, masterKeyPathIn } from './data-folder.ts'

/** The store as the configuration states it, with its master key found or made; for the server and the commands. */
export function openConfiguredStore(config: Config, instance: string): Promise<Store> {
  return openStore({
    database:
      config.databaseUrl === undefined
        ? { kind: 'sqlite', path: databasePathIn(config.dataDir) }
        : { kind: 'postgres', url: config.databaseUrl },
    masterKey: config.masterKey ?? keepMasterKey(masterKeyPathIn(config.dataDir)),
    policy: config.policy,
    instance,
  })
}
