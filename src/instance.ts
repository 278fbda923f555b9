import { keepMasterKey } from '#config/master-key.ts'
import type { Config } from '#config/settings.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { databasePathIn, masterKeyPathIn } from './data-folder.ts'

/** The store as the configuration states it, with its master key found or made; for the server and the commands. */
export function openConfiguredStore(
  config: Config,
  instance: string,
  warn?: (sentence: string) => void,
): Promise<Store> {
  return openStore({
    database: databaseOf(config),
    masterKey: config.masterKey ?? keepMasterKey(masterKeyPathIn(config.dataDir)),
    policy: config.policy,
    instance,
    ...(warn && { warn }),
  })
}

function databaseOf({ databaseUrl: url, databaseDirectUrl: directUrl, dataDir }: Config) {
  if (url === undefined) return { kind: 'sqlite' as const, path: databasePathIn(dataDir) }
  return { kind: 'postgres' as const, url, ...(directUrl !== undefined && { directUrl }) }
}
