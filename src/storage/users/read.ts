import { type Kysely, sql } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { UnreadableUser, User } from '#core/user.ts'
import type { UserCursor, UserPageRequest, UserSortField } from '#core/user-list.ts'
import { lookupsOf, type Vault } from '#core/vault.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import { chunksOf } from '#storage/many-rows.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { isDamage, readEach } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { FoundUser, UsageReset, UserStore } from '#storage/store.ts'
import { filtered, type UserQuery } from './filter.ts'
import { readUserParts } from './parts.ts'
import { findUsedUsers, type UsedUsers } from './reset-usage.ts'
import { type StoredUser, toBlock, toUnreadable, toUser } from './rows.ts'

/** Methods of the table behind those of the store. */
interface MoreReads {
  /** As `findUser`; for a user whose row is damaged it returns what blocks the user. */
  readonly findKnown: (id: string, now: number) => Promise<User | UnreadableUser | undefined>
  readonly findUsedUsers: (request: UsageReset) => Promise<UsedUsers>
}

type SortColumn = 'created_at' | 'last_used_at' | 'expires_at' | 'nickname' | 'prompt_count'

const sortColumns: Record<UserSortField, SortColumn> = {
  createdAt: 'created_at',
  lastUsedAt: 'last_used_at',
  expiresAt: 'expires_at',
  nickname: 'nickname',
  promptCount: 'prompt_count',
}

/** Reads the users of these rows, with what belongs to them. Where a row is damaged, the function returned throws. */
async function readerOf(
  db: Kysely<Schema>,
  many: ManyRows,
  rows: readonly StoredUser[],
  known: { readonly vault: Vault; readonly policy: Policy; readonly now: number },
): Promise<(row: StoredUser) => User> {
  const ids = rows.map((row) => row.id)
  const parts = await readUserParts(db, many, ids)
  return (row) => toUser(row, parts.quotasOf(row.id), parts.addressesOf(row.id), known)
}

/** The users of rows that were read elsewhere, in the rows' order. */
async function usersOf(...of: Parameters<typeof readerOf>): Promise<readonly User[]> {
  const [, , rows] = of
  return rows.map(await readerOf(...of))
}

/** Reads users: one by its id or access token, and pages of them in keyset order. */
export function createUserReader(db: Kysely<Schema>, many: ManyRows, vault: Vault, policy: Policy) {
  /** All users whose rows can be read; the others are reported. */
  async function readable(
    rows: readonly StoredUser[],
    now: number,
  ): Promise<{ readonly users: readonly User[]; readonly unreadable: readonly string[] }> {
    const read = await readerOf(db, many, rows, { vault, policy, now })
    const { items: users, unreadable } = readEach(rows, read)
    return { users, unreadable }
  }

  return {
    reads: {
      async findUser(ref, now) {
        const query = db.selectFrom('users').selectAll()
        const row = await ('id' in ref
          ? query.where('id', '=', ref.id)
          : query.where('token_hmac', 'in', lookupsOf(vault, ref.accessToken))
        ).executeTakeFirst()
        return row && (await usersOf(db, many, [row], { vault, policy, now }))[0]
      },

      async findKnown(id, now) {
        const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
        if (!row) return undefined
        try {
          return (await usersOf(db, many, [row], { vault, policy, now }))[0]
        } catch (error) {
          if (!isDamage(error)) throw error
          return toUnreadable(row, vault)
        }
      },

      async findBlocks(ids) {
        if (ids.length === 0) return []
        const rows = await db
          .selectFrom('users')
          .select(['id', 'disabled_at', 'disabled_reason', 'expires_at'])
          .where('id', 'in', ids)
          .execute()
        return rows.map(toBlock)
      },

      async knowsAccessToken(accessToken) {
        const query = db.selectFrom('users').select('id')
        const known = query.where('token_hmac', 'in', lookupsOf(vault, accessToken))
        return (await known.executeTakeFirst()) !== undefined
      },
    },
    long: {
      async findUsers(sought, now) {
        const hmacs = sought.map(({ accessToken }) => vault.lookupOf(accessToken))
        const ids = sought.flatMap(({ id }) => id ?? [])
        const rows: StoredUser[] = []
        for (const some of chunksOf(hmacs, usersAtOnce))
          rows.push(...(await db.selectFrom('users').selectAll().where('token_hmac', 'in', some).execute()))
        const taken = new Set<string>()
        for (const some of chunksOf(ids, usersAtOnce))
          for (const { id } of await db.selectFrom('users').select('id').where('id', 'in', some).execute())
            taken.add(id)
        const readRow = await readerOf(db, many, rows, { vault, policy, now })
        const found = new Map(rows.map((row) => [row.token_hmac, foundUser(row, readRow)]))
        return sought.map(({ id }, index) => ({
          ...found.get(hmacs[index] ?? ''),
          ...(id !== undefined && taken.has(id) && { idOwner: id }),
        }))
      },

      async listUsers(request) {
        const rows = await readPage(db, policy, request)
        const { users, unreadable } = await readable(rows.slice(0, request.limit), request.now)
        const last = rows[request.limit - 1]
        return {
          users,
          ...(unreadable.length > 0 && { unreadable }),
          ...(rows.length > request.limit && last && { next: cursorAt(last, request) }),
        }
      },

      async countUsers(filter, now) {
        const query = filtered(db.selectFrom('users'), filter, policy, now)
        const row = await query.select((e) => e.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
        return Number(row.count)
      },

      findUsedUsers: (request) => findUsedUsers(db, request),
    },
  } satisfies MethodGroups<UserStore & MoreReads>
}

function foundUser(row: StoredUser, read: (row: StoredUser) => User): FoundUser {
  try {
    return { user: read(row) }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { isDamaged: true }
  }
}

/** The largest number of users in one statement: databases limit the number of parameters. */
const usersAtOnce = 500

/**
 * Reads one row more than asked for, to know whether a page follows. Users without the field that is sorted by stand
 * at the end in either direction. They are read as a second range, since an index cannot compare with null.
 */
async function readPage(
  db: Kysely<Schema>,
  policy: Policy,
  request: UserPageRequest,
): Promise<readonly StoredUser[]> {
  const { field, descending } = request.sort ?? { field: 'createdAt' as const, descending: false }
  const column = sortColumns[field]
  const { after } = request
  const direction = descending ? 'desc' : 'asc'
  const wanted = request.limit + 1
  const base = () => filtered(db.selectFrom('users').selectAll(), request.filter ?? {}, policy, request.now)

  const valued =
    after?.value === null
      ? []
      : await beyond(base().where(column, 'is not', null), column, after, descending)
          .orderBy(column, direction)
          .orderBy('id', direction)
          .limit(wanted)
          .execute()
  if (valued.length >= wanted || column === 'created_at' || column === 'prompt_count') return valued
  const unset = base().where(column, 'is', null)
  const from = after?.value === null ? unset.where('id', descending ? '<' : '>', after.id) : unset
  const rest = await from
    .orderBy('id', direction)
    .limit(wanted - valued.length)
    .execute()
  return [...valued, ...rest]
}

function beyond<Selected>(
  query: UserQuery<Selected>,
  column: SortColumn,
  after: UserCursor | undefined,
  descending: boolean,
): UserQuery<Selected> {
  if (!after) return query
  const sign = sql.raw(descending ? '<' : '>')
  return query.where(sql<boolean>`(${sql.ref(column)}, id) ${sign} (${after.value}, ${after.id})`)
}

function cursorAt(row: StoredUser, request: UserPageRequest): UserCursor {
  return { value: row[sortColumns[request.sort?.field ?? 'createdAt']], id: row.id }
}
