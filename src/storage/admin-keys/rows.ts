import type { AdminKey } from '#core/admin-key.ts'
import { isNetwork } from '#core/network.ts'
import { type Scope, scopes } from '#core/scopes.ts'
import { present } from '#lib/present.ts'
import { integer, isDamage, optional, text } from '#storage/schema/columns.ts'
import type { AdminKeyRow } from '#storage/schema/tables.ts'

/** Converts an admin key's row. A row with an invalid value throws: a key must never allow more than it was made for. */
export function toAdminKey(row: AdminKeyRow): AdminKey {
  return {
    id: row.id,
    name: text(row.name),
    createdAt: integer(row.created_at),
    scopes: text(row.scopes).split(' ').map(parseScope),
    ...present({
      expiresAt: optional(row.expires_at, integer) ?? undefined,
      allowedNetworks: optional(row.allowed_networks, parseNetworks) ?? undefined,
      lastUsedAt: optional(row.last_used_at, integer) ?? undefined,
      rotatedAt: optional(row.rotated_at, integer) ?? undefined,
      previousUntil: optional(row.previous_until, integer) ?? undefined,
      secondFactorAt: optional(row.second_factor_at, integer) ?? undefined,
    }),
  }
}

/** A damaged key has no scopes and opens nothing. It is listed too: it has to be found to be deleted. */
export function toListedKey(row: AdminKeyRow): AdminKey {
  try {
    return toAdminKey(row)
  } catch (error) {
    if (!isDamage(error)) throw error
    const [name, createdAt] = [unlessDamaged(row.name, text), unlessDamaged(row.created_at, integer)]
    return { id: row.id, name: name ?? '', createdAt: createdAt ?? 0, scopes: [], isDamaged: true }
  }
}

function unlessDamaged<Value>(value: unknown, read: (value: unknown) => Value): Value | undefined {
  try {
    return read(value)
  } catch {
    return undefined
  }
}

function parseScope(text: string): Scope {
  const scope = scopes.find((each) => each === text)
  if (scope === undefined)
    throw new TypeError(`an admin key is stored with the scope ${JSON.stringify(text)}`)
  return scope
}

function parseNetworks(value: unknown): readonly string[] {
  const networks: unknown = JSON.parse(text(value))
  if (!Array.isArray(networks) || !networks.every((each) => typeof each === 'string' && isNetwork(each)))
    throw new TypeError('the networks of an admin key cannot be read')
  return networks
}
