import type { Clock } from '#core/clock.ts'
import type { PendingSignOn, SignOn } from '#core/sign-on.ts'
import { createVault } from '#core/vault.ts'

/** As long as a person may take to log in at the provider. */
export const pendingMs = 10 * 60_000
const owner = 'sign-on'

/**
 * Seals what a sign-on has to remember until the browser comes back. It is kept in a cookie and not in a table: a sign-on is
 * begun without a credential, and would fill the table.
 *
 * @param key 32 bytes in base64url, the same on all instances
 */
export function createPendingSeal(key: string, clock: Clock): Pick<SignOn, 'seal' | 'unseal'> {
  const vault = createVault({ masterKey: Buffer.from(key, 'base64url') })
  return {
    seal: (pending) => vault.seal(JSON.stringify(pending), owner),
    unseal(sealed) {
      try {
        // What this program has sealed has this shape.
        const pending = JSON.parse(vault.unseal(sealed, owner)) as PendingSignOn
        const age = clock() - pending.at
        return age < pendingMs && age > -pendingMs ? pending : undefined
      } catch {
        return undefined
      }
    },
  }
}
