import type { Kysely } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { UnreadableUser, User, UserBlock } from '#core/user.ts'
import { lookupsOf, type Vault } from '#core/vault.ts'
import { present } from '#lib/present.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import { chunksOf } from '#storage/many-rows.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { isDamage, readEach } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { FoundUser, UsageReset, UserStore } from '#storage/store/users.ts'
import { draftKeyOf } from './draft-rows.ts'
import { filtered } from './filter.ts'
import { otherTokenOwner, otherTokenOwners, readTokenStates } from './old-tokens.ts'
import { cursorAt, readPage } from './page.ts'
import { readUserParts } from './parts.ts'
import { findUsedUsers, type UsedUsers } from './reset-usage.ts'
import { type StoredUser, toBlock, toUnreadable, toUser } from './rows.ts'
import { takenIds } from './taken-ids.ts'
import { createUserTexts } from './texts.ts'
import { readDigests } from './token-digests.ts'

/** Methods of the table behind those of the store. */
interface MoreReads {
  /** As `findUser`; for a user whose row is damaged it returns what blocks the user. */
  readonly findKnown: (id: string, now: number) => Promise<User | UnreadableUser | undefined>
  readonly findUsedUsers: (request: UsageReset) => Promise<UsedUsers>
}

const byId = 'select * from users where id {in}'
const byTokenHmac = 'select * from users where token_hmac {in}'

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
  const texts = createUserTexts(db, many, vault, policy)

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
        const rowById = async (id: string) => (await many.query<StoredUser>(db, byId, [id]))[0]
        const rowByToken = async (accessToken: string) => {
          const [present] = await many.query<StoredUser>(db, byTokenHmac, lookupsOf(vault, accessToken))
          const old = present ? undefined : await otherTokenOwner(db, vault, accessToken, now)
          return old ? rowById(old.user_id) : present
        }
        const row = await ('id' in ref ? rowById(ref.id) : rowByToken(ref.accessToken))
        return row && (await usersOf(db, many, [row], { vault, policy, now }))[0]
      },

      async findKnown(id, now) {
        const [row] = await many.query<StoredUser>(db, byId, [id])
        if (!row) return undefined
        try {
          return (await usersOf(db, many, [row], { vault, policy, now }))[0]
        } catch (error) {
          if (!isDamage(error)) throw error
          return toUnreadable(row, vault)
        }
      },

      findTokenStates: (accessTokens) => readTokenStates(db, vault, accessTokens),

      findBlocks: (ids) => readBlocks(db, ids),

      async knowsAccessToken(accessToken) {
        const query = db.selectFrom('users').select('id')
        const known = query.where('token_hmac', 'in', lookupsOf(vault, accessToken))
        if (await known.executeTakeFirst()) return true
        // Whether it still is accepted is for the admission to say.
        return (await otherTokenOwner(db, vault, accessToken, 0)) !== undefined
      },
    },
    long: {
      findDigests: (ids) => readDigests(db, { many, vault }, ids),

      findUsers: (sought, now) => findUsers(sought, now, { db, many, vault, policy }),

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

      listUserTexts: (request) => texts.list(request),

      async countUsers(filter, now) {
        const query = filtered(db.selectFrom('users'), filter, policy, now)
        const row = await query.select((e) => e.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
        return Number(row.count)
      },

      findUsedUsers: (request) => findUsedUsers(db, request),
    },
  } satisfies MethodGroups<UserStore & MoreReads>
}

interface FindParts {
  readonly db: Kysely<Schema>
  readonly many: ManyRows
  readonly vault: Vault
  readonly policy: Policy
}

/** The users of many access tokens, and which of the ids are taken. */
async function findUsers(
  sought: Parameters<UserStore['findUsers']>[0],
  now: number,
  { db, many, vault, policy }: FindParts,
): ReturnType<UserStore['findUsers']> {
  const lookups = sought.map(({ ref }) => ('accessToken' in ref ? lookupsOf(vault, ref.accessToken) : []))
  const rows: StoredUser[] = []
  // Both hashes of a token are in one statement, so that a row is not missed while its master key is replaced.
  for (const some of chunksOf(lookups.flat(), usersAtOnce))
    rows.push(...(await db.selectFrom('users').selectAll().where('token_hmac', 'in', some).execute()))
  const held = new Set(rows.map((row) => row.token_hmac))
  const strange = new Map(
    sought.flatMap(({ ref }, index) =>
      lookups[index]?.some((hmac) => held.has(hmac)) ? [] : [[draftKeyOf(ref, vault), ref] as const],
    ),
  )
  const owners = await otherTokenOwners(db, { many, vault }, strange, now)
  const ofDigests = await otherTokenOwners(
    db,
    { many, vault },
    new Map(
      sought.flatMap(({ tokenDigest }) =>
        tokenDigest === undefined ? [] : [[tokenDigest, { tokenDigest }] as const],
      ),
    ),
    now,
  )
  for (const some of chunksOf([...new Set(owners.values())], usersAtOnce))
    rows.push(...(await many.query<StoredUser>(db, byId, some)))
  const taken = await takenIds(
    db,
    many,
    sought.flatMap(({ id }) => id ?? []),
  )
  const readRow = await readerOf(db, many, rows, { vault, policy, now })
  const found = new Map(rows.map((row) => [row.token_hmac, foundUser(row, readRow)]))
  const foundById = new Map(rows.map((row) => [row.id, found.get(row.token_hmac)]))
  for (const [key, id] of owners) found.set(key, foundById.get(id) ?? {})
  return sought.map(({ ref, id, tokenDigest }, index) => ({
    ...[...(lookups[index] ?? []), draftKeyOf(ref, vault)]
      .map((key) => found.get(key))
      .find((user) => user !== undefined),
    ...(id !== undefined && taken.has(id) && { idOwner: id }),
    ...present({ digestOwner: tokenDigest === undefined ? undefined : ofDigests.get(tokenDigest) }),
  }))
}

/** What blocks these users. */
async function readBlocks(db: Kysely<Schema>, ids: readonly string[]): Promise<readonly UserBlock[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('users')
    .select(['id', 'disabled_at', 'disabled_reason', 'expires_at'])
    .where('id', 'in', ids)
    .execute()
  return rows.map(toBlock)
}

function foundUser(row: StoredUser, read: (row: StoredUser) => User): FoundUser {
  try {
    return { user: read(row) }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { isDamaged: true }
  }
}

/** The largest number of values in one statement, even: databases limit the number of parameters. */
const usersAtOnce = 500
