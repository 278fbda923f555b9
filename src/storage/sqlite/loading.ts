import type { SecretMemo } from '#lib/secret-memo.ts'
import { toLoadedUser, toOpenEntry, toSeenAddress, type Values } from '#storage/ledger/rows.ts'
import { createPlaces, type LoadedState, type LoadedUser, type OpenEntry } from '#storage/ledger/state.ts'
import type { LoadedQuota } from '#storage/quotas/account.ts'
import { toLoadedQuota } from '#storage/quotas/rows.ts'
import { integer, optional, text } from '#storage/schema/columns.ts'
import { isPlausible } from '#storage/users/reserved.ts'
import type { CachedUser, CachedUsers } from './cached-users.ts'
import { allRows, oneRow } from './rows.ts'
import type { Statements } from './statements.ts'

export interface Loaded {
  readonly state: LoadedState
  readonly users: () => Iterable<CachedUser>
}

/** The hashes by which users are found. */
export interface Lookups {
  readonly lookups: SecretMemo<string>
  /** Under the other master key, while one is being replaced. */
  readonly otherLookupOf: ((accessToken: string) => string) | undefined
  /** Those of its SHA-256. */
  readonly digests: SecretMemo<readonly string[]>
  /** Whether any user is found by those. */
  readonly hasDigests: () => boolean
}

/** The quotas of a user. What is reserved is added up anew where it cannot be right. */
function quotasOf(sql: Statements, id: string): readonly LoadedQuota[] {
  const quotas = allRows(sql.quotas, id).map(toLoadedQuota)
  if (quotas.every(({ reserved, openRequests }) => isPlausible(reserved, openRequests))) return quotas
  sql.addUpReserved.run(id)
  return allRows(sql.quotas, id).map(toLoadedQuota)
}

/** Reads each row at most once a batch, when it is first asked for. A cached user is not read at all. */
export function createState(
  sql: Statements,
  { lookups, otherLookupOf, digests, hasDigests }: Lookups,
  open: ReadonlyMap<string, OpenEntry>,
  cached: CachedUsers,
  now: number,
): Loaded {
  const users = new Map<string, CachedUser>()
  const byAccessToken = new Map<string, LoadedUser | undefined>()
  const oldUntil = new Map<string, number>()

  const addressesOf = (id: string) => () =>
    cached.addressesOf(id, () => allRows(sql.addresses, id).map(toSeenAddress))

  function loaded(row: Values | undefined): LoadedUser | undefined {
    if (row === undefined) return undefined
    const [lookup, rowId, ...fields] = row
    const id = text(fields[0])
    const known = users.get(id)
    if (known) return known.user
    const user = toLoadedUser(id, integer(rowId), fields, quotasOf(sql, id), addressesOf(id))
    users.set(id, { user, lookup: text(lookup) })
    return user
  }

  function again(before: CachedUser): LoadedUser {
    const { id } = before.user
    const known = users.get(id)
    if (known) return known.user
    // The places belong to one batch's time window.
    const user = { ...before.user, isChanged: false, isBlocked: false, places: createPlaces(addressesOf(id)) }
    users.set(id, { ...before, user })
    return user
  }

  function byLookup(lookup: string): LoadedUser | undefined {
    const before = cached.byLookup(lookup)
    return before ? again(before) : loaded(oneRow(sql.userByLookup, lookup))
  }

  /** Where no user has the access token under the present master key. */
  function elsewhere(accessToken: string, lookup: string): LoadedUser | undefined {
    const other = otherLookupOf?.(accessToken)
    const user = other === undefined ? undefined : byLookup(other)
    if (user) return user
    const row =
      oneRow(sql.oldToken, lookup, now) ??
      (other === undefined ? undefined : oneRow(sql.oldToken, other, now)) ??
      (hasDigests() ? byDigest(accessToken) : undefined)
    if (!row) return undefined
    const until = optional(row[1], integer)
    if (until !== null) oldUntil.set(accessToken, until)
    return state.userById(text(row[0]))
  }

  function byDigest(accessToken: string): Values | undefined {
    const hmacs = digests.of(accessToken)
    for (const hmac of hmacs) {
      const row = oneRow(sql.tokenDigest, hmac, now)
      if (!row) continue
      digests.keep(accessToken, hmacs)
      return row
    }
    return undefined
  }

  const state: LoadedState = {
    userOf(accessToken) {
      if (byAccessToken.has(accessToken)) return byAccessToken.get(accessToken)
      const lookup = lookups.of(accessToken)
      const present = byLookup(lookup)
      if (present) lookups.keep(accessToken, lookup)
      const user = present ?? elsewhere(accessToken, lookup)
      byAccessToken.set(accessToken, user)
      return user
    },
    oldUntilOf: (accessToken) => oldUntil.get(accessToken),
    userById(id) {
      const before = users.get(id) ?? cached.byId(id)
      return before ? again(before) : loaded(oneRow(sql.userById, id))
    },
    entryOf(requestId) {
      const known = open.get(requestId)
      if (known) return known
      const row = oneRow(sql.entry, requestId)
      return row && toOpenEntry(requestId, row)
    },
    hasEvent: (eventId) => oneRow(sql.event, eventId) !== undefined,
  }
  return { state, users: () => users.values() }
}
