import { type Kysely, sql } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { UserCursor, UserPageRequest, UserSortField } from '#core/user-list.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { filtered, type UserQuery } from './filter.ts'
import type { StoredUser } from './rows.ts'

type SortColumn = 'created_at' | 'last_used_at' | 'expires_at' | 'nickname' | 'prompt_count'

const sortColumns: Record<UserSortField, SortColumn> = {
  createdAt: 'created_at',
  lastUsedAt: 'last_used_at',
  expiresAt: 'expires_at',
  nickname: 'nickname',
  promptCount: 'prompt_count',
}

/**
 * Reads one row more than asked for, to know whether a page follows. Users without the field that is sorted by stand
 * at the end in either direction. They are read as a second range, since an index cannot compare with null.
 */
export async function readPage(
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

export function cursorAt(row: StoredUser, request: UserPageRequest): UserCursor {
  return { value: row[sortColumns[request.sort?.field ?? 'createdAt']], id: row.id }
}
