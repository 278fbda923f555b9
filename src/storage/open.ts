import type { PolicySettings } from '#core/policy-settings.ts'
import { openSqliteStore } from './sqlite/open.ts'
import type { Store } from './store.ts'

/** Which database, and what the store has to know beside it. */
export interface StoreSettings {
  readonly database: { readonly kind: 'sqlite'; readonly path: string }
  /** 32 bytes. */
  readonly masterKey: Uint8Array
  readonly policy: PolicySettings
  /** Names this process in the ledger. */
  readonly instance: string
}

/** Opens the store and brings its schema up to date. Throws with one clear sentence where it cannot. */
export function openStore(settings: StoreSettings): Promise<Store> {
  const { database, ...rest } = settings
  return openSqliteStore({ ...rest, path: database.path })
}
