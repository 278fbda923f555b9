import type { PolicySettings } from '#core/policy-settings.ts'
import type { MasterKeys } from '#core/vault.ts'
import { openPostgresStore } from './postgres/open.ts'
import { openSqliteStore } from './sqlite/open.ts'
import type { Store } from './store.ts'

/** Where the data is. */
export type DatabaseSettings =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly directUrl?: string }

/** Which database, and what else the store needs. */
export interface StoreSettings extends MasterKeys {
  readonly database: DatabaseSettings
  readonly policy: PolicySettings
  /** The name of this process in the ledger. */
  readonly instance: string
  /** Receives a sentence for each thing that works less well than it should. */
  readonly warn?: (sentence: string) => void
}

/** Opens the store and brings its schema up to date. Throws with one clear sentence where that fails. */
export function openStore(settings: StoreSettings): Promise<Store> {
  const { database, warn, ...rest } = settings
  if (database.kind === 'postgres') {
    const { url, directUrl } = database
    return openPostgresStore({
      ...{ ...rest, url },
      ...(directUrl !== undefined && { directUrl }),
      ...(warn && { warn }),
    })
  }
  return openSqliteStore({ ...rest, path: database.path })
}
