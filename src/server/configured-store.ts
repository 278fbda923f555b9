import { keepMasterKey, looseKeyFile } from '#config/master-key.ts'
import { type Config, ConfigError } from '#config/settings.ts'
import type { MasterKeys } from '#core/vault.ts'
import { spelledOut } from '#lib/glob.ts'
import { standInOf } from '#providers/passed-route.ts'
import { explained } from '#storage/fault.ts'
import { openStore } from '#storage/open.ts'
import type { Store } from '#storage/store.ts'
import { databasePathIn, masterKeyPathIn } from './data-folder.ts'

/** Opens the store of the configuration, and reads or creates its master key; for the server and the commands. */
export async function openConfiguredStore(
  config: Config,
  instance: string,
  warn?: (sentence: string) => void,
): Promise<Store> {
  const loose = looseKeyFile(config.masterKeyFile ?? masterKeyPathIn(config.dataDir))
  if (loose !== undefined) warn?.(loose)
  return openStore({
    database: databaseOf(config),
    ...masterKeysOf(config),
    policy: {
      ...config.policy,
      modelNames: modelNamesIn(config),
      upstreamNames: config.upstreams.map(({ name }) => name),
    },
    instance,
    ...(warn && { warn }),
  })
}

/** What the operator spells out; requests that name no model count as one of these. */
function modelNamesIn({ upstreams, passThrough, promptModel }: Config): readonly string[] {
  const ofRoutes = passThrough.flatMap(({ model, path, methods = ['POST'] }) =>
    methods.flatMap((method) => standInOf({ model, path }, method) ?? []),
  )
  const named = upstreams.flatMap(({ models }) => spelledOut(models))
  return [...named, ...ofRoutes, ...(promptModel === undefined ? [] : [promptModel])]
}

/** Reads or creates the master key. Throws where the previous one is the same. */
export function masterKeysOf(config: Config): MasterKeys {
  const { masterKeyPrevious } = config
  const masterKey = masterKeyOf(config)
  if (masterKeyPrevious && Buffer.compare(masterKey, masterKeyPrevious) === 0)
    throw new ConfigError('MASTER_KEY_PREVIOUS', 'is the same as the master key: set it to the one before')
  return { masterKey, masterKeyPrevious }
}

function masterKeyOf({ masterKey, dataDir }: Config): Uint8Array {
  try {
    return masterKey ?? keepMasterKey(masterKeyPathIn(dataDir), databasePathIn(dataDir))
  } catch (error) {
    throw explained(error, dataDir)
  }
}

export function databaseOf({ databaseUrl: url, databaseDirectUrl: directUrl, dataDir }: Config) {
  if (url === undefined) return { kind: 'sqlite' as const, path: databasePathIn(dataDir) }
  return { kind: 'postgres' as const, url, ...(directUrl !== undefined && { directUrl }) }
}
