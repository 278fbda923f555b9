import { createHash } from 'node:crypto'
import type pg from 'pg'
import { UNLIMITED } from '#core/user.ts'
import { addressesMax } from '#core/user-edit.ts'
import { entryColumns, quotaColumns, userColumns, type Values } from '#storage/ledger/rows.ts'
import { belowName } from '#storage/ledger/user-requests.ts'
import { ofEachWrite } from '#storage/ledger/writes.ts'
import { writeMany } from './many.ts'
import { nameOn } from './session.ts'

/** Selects the users of a batch. */
const theirs = 'u.token_hmac = any($1::text[]) or u.id = any($2::text[])'

/**
 * A plan that was made while a table was small would scan all of it for ever after, so such plans are ruled out. What
 * belongs to users is looked up user by user, and `offset 0` keeps the planner from reversing that. Users are sorted
 * by `id || ''`, which no index holds, so that the planner does not walk an index to sort them.
 */
export const statements = {
  owners: 'select user_id, front_end_id from entries where id = any($1::text[])',
  users: `select ${userColumns}, (select value from facts where name = '${belowName}'), token_hmac from users u where ${theirs} order by id || '' for update`,
  otherTokens: `select token_hmac, user_id, valid_until from old_tokens
    where token_hmac = any($1::text[]) and valid_until > $2
    union all select token_hmac, user_id, valid_until from token_digests
    where token_hmac = any($3::text[]) and (valid_until is null or valid_until > $2)`,
  quotas: `select user_id, ${quotaColumns} from quotas where user_id = any($1::text[])`,
  strangeQuotas: `select u.id, q.* from users u
    cross join lateral (select ${quotaColumns} from quotas where user_id = u.id offset 0) as q
    where u.token_hmac = any($1::text[])`,
  entries: `select id, ${entryColumns} from entries where id = any($1::text[])`,
  events: 'select id from usage_events where id = any($1::text[])',
  addresses: `select u.id, a.* from users u
    cross join lateral (select address, last_seen_at from addresses where user_id = u.id offset 0) as a
    where (${theirs}) and (u.max_ips <> ${UNLIMITED} or (u.max_ips is null and $3::boolean))`,
  ...ofEachWrite(writeMany),
  trim: `delete from addresses where (user_id, address) in (
    select user_id, address from (
      select user_id, address, row_number() over (partition by user_id order by first_seen_at desc, address) as place
      from addresses where user_id = any($1::text[])) as placed
    where place > ${addressesMax})`,
} as const

/**
 * Each name contains a digest of its text: behind a pooler another version of the program may have prepared a
 * different text under the same name.
 */
const names = Object.fromEntries(
  Object.entries(statements).map(([name, text]) => [
    name,
    `${name} ${createHash('sha256').update(text).digest('hex').slice(0, 12)}`,
  ]),
) as Readonly<Record<keyof typeof statements, string>>

export async function select(
  client: pg.Client,
  name: keyof typeof statements,
  values: readonly unknown[],
): Promise<readonly Values[]> {
  const { rows } = await execute(client, name, values)
  return rows
}

export function execute(
  client: pg.Client,
  name: keyof typeof statements,
  values: readonly unknown[],
): Promise<pg.QueryArrayResult<unknown[]>> {
  const text = statements[name]
  const under = nameOn(client, names[name])
  return client.query<unknown[]>({
    ...(under !== undefined && { name: under }),
    text,
    values: [...values],
    rowMode: 'array',
  })
}
