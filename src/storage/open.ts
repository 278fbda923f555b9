import type { PolicySettings } from '#core/policy-settings.ts'
import { openPostgresStore } from './postgres/open.ts'
import { openSqliteStore } from './sqlite/open.ts'
import type { Store } from './store.ts'

/** Where the data is. */
type DatabaseSettings =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }

/** Which database, and what the store has to know beside it. */
export interface StoreSettings {
  readonly database: DatabaseSettings
  /** 32 bytes. */
  readonly masterKey: Uint8Array
  readonly policy: PolicySettings
  /** Names this process in the ledger. */
  readonly instance: string
}

/** Opens the store and brings its schema up to date. Throws with one clear sentence where it cannot. */
export function openStore(settings: StoreSettings): Promise<Store> {
  const { database, ...rest } = settings
  if (database.kind === 'postgres') return openPostgresStore({ ...rest, url: database.url })
  return openSqliteStore({ ...rest, path: database.path })
}
