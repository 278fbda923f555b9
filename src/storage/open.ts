import type { PolicySettings } from '#core/policy-settings.ts'
import { openPostgresStore } from './postgres/open.ts'
import { openSqliteStore } from './sqlite/open.ts'
import type { Store } from './store.ts'

/** Where the data is. */
type DatabaseSettings =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly directUrl?: string }

/** Which database, and what else the store needs. */
export interface StoreSettings {
  readonly database: DatabaseSettings
  /** 32 bytes. */
  readonly masterKey: Uint8Array
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
