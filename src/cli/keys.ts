import { existsSync } from 'node:fs'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { ConfigError } from '#config/settings.ts'
import type { AdminKey } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import { systemClock } from '#core/clock.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openConfiguredStore } from '#server/configured-store.ts'
import { createAdminKey, rotateAdminKey } from '#storage/admin-keys/create.ts'
import type { AdminKeyStore, Store } from '#storage/store.ts'
import { type KeyOptions, readKeyOptions, readOverlap } from './key-options.ts'
import { complain, print } from './terminal.ts'

/**
 * `tollgate keys …`: lists, makes, rotates and deletes admin keys, where the first one was lost, or for a further person
 * or gateway.
 */
export async function keysCommand(
  env: Environment,
  words: readonly string[],
  options: Omit<KeyOptions, 'name'>,
): Promise<number> {
  const [action = 'list', word, ...more] = words
  if (more.length > 0 || (action === 'list' && word !== undefined)) return wrongly(usage)
  switch (action) {
    case 'list':
      return withKeys(env, list)
    case 'create':
      return createKeyCommand(env, { ...options, name: word })
    case 'rotate': {
      const overlapMs = readOverlap(options.overlapHours)
      if (typeof overlapMs === 'string') return wrongly(overlapMs)
      return word === undefined ? wrongly(usage) : withKeys(env, (keys) => rotate(keys, word, overlapMs))
    }
    case 'delete':
      return word === undefined ? wrongly(usage) : withKeys(env, (keys) => remove(keys, word))
    case 'remove-second-factor':
      return word === undefined
        ? wrongly(usage)
        : withStore(env, (store) => removeSecondFactor(store.secondFactors, word))
    default:
      return wrongly(usage)
  }
}

function by(now: number): By {
  return { now, actor: { kind: 'command_line', name: 'keys' } }
}

const usage = 'tollgate keys takes list, create NAME, rotate ID, delete ID or remove-second-factor ID'

/** `tollgate keys create NAME`, also as `tollgate admin-key NAME`: makes an admin key and prints it. */
export async function createKeyCommand(env: Environment, options: KeyOptions): Promise<number> {
  const now = systemClock()
  const wanted = readKeyOptions(options, now)
  if (typeof wanted === 'string') return wrongly(wanted)
  return withKeys(env, async (keys) => {
    const { key, secret } = await createAdminKey(keys, wanted, by(now))
    print(secret)
    complain(`This is the key ${described(key)}. It is not shown again.`)
    return 0
  })
}

async function list(keys: AdminKeyStore): Promise<number> {
  for (const key of await keys.listAdminKeys())
    print(`${key.id}  ${key.isDamaged ? `${JSON.stringify(key.name)}, damaged: delete it` : described(key)}`)
  return 0
}

async function rotate(keys: AdminKeyStore, id: string, overlapMs: number): Promise<number> {
  const known = (await keys.listAdminKeys()).find((key) => key.id === id)
  if (!known || known.isDamaged) return missing(id)
  const now = systemClock()
  const rotated = await rotateAdminKey(keys, known, overlapMs > 0 ? now + overlapMs : undefined, by(now))
  if (typeof rotated === 'string') return missing(id)
  print(rotated.secret)
  const { previousUntil } = rotated.key
  const old =
    previousUntil === undefined
      ? 'The one before works no more'
      : `The one before works until ${timeOf(previousUntil)}`
  complain(`This is the new secret of the key ${described(rotated.key)}. ${old}. It is not shown again.`)
  return 0
}

async function remove(keys: AdminKeyStore, id: string): Promise<number> {
  switch (await keys.deleteAdminKey(id, by(systemClock()))) {
    case 'deleted':
      complain(`The key ${id} was deleted.`)
      return 0
    case 'last':
      complain('tollgate: this is the last key that opens the admin API: make another one first')
      return 1
    case 'unknown':
    case 'configured':
      return missing(id)
  }
}

async function removeSecondFactor(factors: Store['secondFactors'], id: string): Promise<number> {
  if (await factors.removeSecondFactor(id, by(systemClock()))) {
    complain(`The key ${id} needs no code any more.`)
    return 0
  }
  complain(
    `tollgate: there is no key ${JSON.stringify(id)} with a second factor; tollgate keys list shows all`,
  )
  return 1
}

function missing(id: string): number {
  complain(`tollgate: there is no key ${JSON.stringify(id)} that can be read; tollgate keys list shows all`)
  return 1
}

/** Name, scopes and bounds, as words of a sentence. */
function described({
  name,
  scopes,
  expiresAt,
  allowedNetworks,
  lastUsedAt,
  secondFactorAt,
}: AdminKey): string {
  return [
    `${JSON.stringify(name)} with the scope ${scopes.join(' and ')}`,
    ...(expiresAt === undefined ? [] : [`until ${timeOf(expiresAt)}`]),
    ...(allowedNetworks === undefined ? [] : [`from ${allowedNetworks.join(', ')}`]),
    ...(secondFactorAt === undefined ? [] : ['with a second factor']),
    ...(lastUsedAt === undefined ? [] : [`last used ${timeOf(lastUsedAt)}`]),
  ].join(' ')
}

function timeOf(at: number): string {
  return new Date(at).toISOString()
}

function wrongly(sentence: string): number {
  complain(`tollgate: ${sentence}`)
  return 2
}

function withKeys(env: Environment, work: (keys: AdminKeyStore) => Promise<number>): Promise<number> {
  return withStore(env, ({ adminKeys }) => work(adminKeys))
}

async function withStore(env: Environment, work: (store: Store) => Promise<number>): Promise<number> {
  const config = readConfig(env)
  // A misspelt DATA_DIR would get a database of its own, and the key would open nothing.
  if (config.databaseUrl === undefined && env.DATA_DIR && !existsSync(config.dataDir))
    throw new ConfigError(
      'DATA_DIR',
      `there is no folder ${config.dataDir}: correct it, or start the server, which makes it and prints a key`,
    )
  const store = await openConfiguredStore(config, createSortableId('ins_', systemClock()))
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}
