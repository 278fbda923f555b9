import { existsSync } from 'node:fs'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { ConfigError } from '#config/settings.ts'
import { type Scope, scopes } from '#core/admin-key.ts'
import { systemClock } from '#core/clock.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openConfiguredStore } from '#server/configured-store.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { complain, print } from './terminal.ts'

interface KeyOptions {
  readonly name: string | undefined
  /** As given on the command line; none means `admin`. */
  readonly scopes: readonly string[]
  readonly expiresInDays: string | undefined
}

const nameLengthMax = 80
const daysMax = 36_500
const dayMs = 86_400_000

/** `tollgate admin-key NAME`: makes an admin key, where the first one was lost, or for a further person or gateway. */
export async function createKeyCommand(env: Environment, options: KeyOptions): Promise<number> {
  const now = systemClock()
  const wanted = readOptions(options, now)
  if (typeof wanted === 'string') {
    complain(`tollgate: ${wanted}`)
    return 2
  }
  const config = readConfig(env)
  // A misspelt DATA_DIR would get a database of its own, and the key would open nothing.
  if (config.databaseUrl === undefined && env.DATA_DIR && !existsSync(config.dataDir))
    throw new ConfigError(
      'DATA_DIR',
      `there is no folder ${config.dataDir}: correct it, or start the server, which makes it and prints a key`,
    )
  const store = await openConfiguredStore(config, createSortableId('ins_', systemClock()))
  try {
    const { key, secret } = await createAdminKey(store.adminKeys, wanted, now)
    const until = key.expiresAt === undefined ? '' : ` until ${new Date(key.expiresAt).toISOString()}`
    print(secret)
    complain(
      `This is the key ${JSON.stringify(key.name)} with the scope ${key.scopes.join(' and ')}${until}. It is not shown again.`,
    )
    return 0
  } finally {
    await store.close()
  }
}

interface WantedKey {
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly expiresAt?: number
}

/** The key that the arguments describe, or a sentence that says what is wrong with them. */
function readOptions(options: KeyOptions, now: number): WantedKey | string {
  const { name, expiresInDays } = options
  if (name === undefined || name.trim() === '' || name.length > nameLengthMax)
    return `name the key, in at most ${nameLengthMax} characters: tollgate admin-key ann`
  const unknown = options.scopes.find((text) => !isScope(text))
  if (unknown !== undefined) return `--scope must be ${scopes.join(' or ')}, not ${JSON.stringify(unknown)}`
  const wanted = options.scopes.length === 0 ? (['admin'] as const) : options.scopes.filter(isScope)
  const key = { name, scopes: [...new Set(wanted)] }
  if (expiresInDays === undefined) return key
  const days = /^\d{1,5}$/.test(expiresInDays) ? Number(expiresInDays) : 0
  if (days < 1 || days > daysMax) return `--expires-in-days takes a whole number from 1 to ${daysMax}`
  return { ...key, expiresAt: now + days * dayMs }
}

function isScope(text: string): text is Scope {
  return scopes.some((scope) => scope === text)
}
