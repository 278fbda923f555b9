import pg from 'pg'
import { createVault } from '#core/vault.ts'
import { sortableIdFrom } from '#lib/sortable-id.ts'

/** How much `fillPostgres` writes directly into the tables. */
export interface Filling {
  readonly users: number
  readonly entries: number
  /** Minutes of users; there are as many hours. */
  readonly minutes: number
  readonly now: number
  /** Changes of a year; one in ten thousand is of a rare kind, by a rare actor. */
  readonly changes: number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const usersAtOnce = 20_000
const rowsOfUser = 20
const figures = 'requests, estimated, input, cache_read, cache_written, output, reasoning'

/** The ids of users by number; their access tokens are `filled-0` and so on. */
export const filledUserId = (number: number) => `usr_${String(number).padStart(24, '0')}`
const userIdOf = (number: string) => `'usr_' || lpad((${number})::text, 24, '0')`

/**
 * Fills the tables of a store's database as months of traffic would, with rows for every kind of upkeep. Users'
 * reservations are not the sums of their open entries, and the tables have not been analyzed.
 */
export async function fillPostgres(url: string, masterKey: Uint8Array, filling: Filling): Promise<void> {
  const run = async (work: (client: pg.Client) => Promise<unknown>) => {
    const client = new pg.Client({ connectionString: url, options: '-c work_mem=128MB' })
    await client.connect()
    try {
      await work(client)
    } finally {
      await client.end()
    }
  }
  const each = (statements: readonly string[]) => async (client: pg.Client) => {
    for (const statement of statements) await client.query(statement)
  }
  await Promise.all([
    run((client) => fillUsers(client, masterKey, filling)),
    run(each([...usageOf(filling), ...partsOf(filling)])),
    run((client) => fillEntries(client, filling)),
    run(each([changesOf(filling)])),
  ])
}

async function fillUsers(client: pg.Client, masterKey: Uint8Array, { users, now }: Filling): Promise<void> {
  const vault = createVault({ masterKey })
  for (let from = 0; from < users; from += usersAtOnce) {
    const numbers = Array.from({ length: Math.min(usersAtOnce, users - from) }, (_, index) => from + index)
    const lookups = numbers.map((number) => vault.lookupOf(`filled-${number}`))
    const sealed = numbers.map((number) => vault.seal(`filled-${number}`, filledUserId(number)))
    await client.query(
      `insert into users (id, token_hmac, token_encrypted, token_hint, search, type, nickname, created_at, last_used_at, expires_at)
       select ${userIdOf('n')}, lookup, sealed, 'fill', 'user ' || n,
         case when n % 100 = 0 then 'temporary' else 'normal' end, case when n % 3 = 0 then 'user ' || n end,
         ${now - 400 * dayMs} + n * 1000, ${now} - n,
         case when n % 100 = 0 then ${now - 40 * dayMs} when n % 7 = 0 then ${now} + n * 1000 end
       from unnest($1::text[], $2::text[], $3::bigint[]) as given (lookup, sealed, n)`,
      [lookups, sealed, numbers],
    )
  }
}

function partsOf({ users, now }: Filling): readonly string[] {
  return [
    `insert into quotas (user_id, family, quota_limit, used)
     select ${userIdOf('n')}, family, 1000000000000, 100
     from generate_series(0::bigint, ${users - 1}) n, unnest(array['claude', 'turbo']) family`,
    // One address in ten was last seen before any time window.
    `insert into addresses (user_id, address, first_seen_at, last_seen_at)
     select ${userIdOf('n')}, '192.0.2.' || a, ${now} - a, ${now} - case when n % 10 = 0 then ${100 * dayMs} else 0 end
     from generate_series(0::bigint, ${users - 1}) n, generate_series(1::bigint, 2) a`,
    `insert into usage_events (id, counted_at)
     select md5(n::text), ${now - 90 * dayMs} + n * 10000 from generate_series(1::bigint, ${users * 5}) n`,
  ]
}

function usageOf({ users, minutes, now }: Filling): readonly string[] {
  const perUser = Math.floor((users * rowsOfUser) / minutes)
  const rows = (at: string) =>
    `select ${userIdOf(`n * ${perUser}`)}, ${at}, 'claude', 'claude-x', '', 200, 1, 0, 10, 0, 0, 10, 0
     from generate_series(0::bigint, ${minutes / rowsOfUser - 1}) n, generate_series(1::bigint, ${rowsOfUser}) m`
  const totals = (table: string, at: string, length: number, count: number) =>
    `insert into ${table} (${at}, family, model, upstream, status, shard, ${figures})
     select ${Math.floor(now / length) * length} - n * ${length}, 'claude', 'claude-' || model, '', 200, shard, 1, 0, 10, 0, 0, 10, 0
     from generate_series(0::bigint, ${count - 1}) n, generate_series(1::bigint, 5) model, generate_series(1::bigint, 2) shard`
  const minuteAt = Math.floor(now / minuteMs) * minuteMs
  const hourAt = Math.floor(now / hourMs) * hourMs
  return [
    // A fifth of the minutes is a day old: upkeep has to gather these.
    `insert into usage_minutes (user_id, minute_at, family, model, upstream, status, ${figures})
     ${rows(`${minuteAt} - m * 90 * ${minuteMs}`)}`,
    `insert into usage_hours (user_id, hour_at, family, model, upstream, status, ${figures})
     ${rows(`${hourAt - 2 * dayMs} - m * 107 * ${hourMs}`)}`,
    totals('total_minutes', 'minute_at', minuteMs, 8 * 1440),
    totals('total_hours', 'hour_at', hourMs, 90 * 24),
  ]
}

/** Behind the few that the store has written itself. */
function changesOf({ users, changes, now }: Filling): string {
  const rare = 'n % 10000 = 0'
  return `insert into changes (seq, at, actor_kind, actor_id, kind, object, hash)
    select 100 + n, ${now} - (${changes} - n) * ${Math.floor((365 * dayMs) / changes)},
      case when ${rare} then 'limit' else 'admin_key' end, case when ${rare} then 'adk_rare' else 'adk_often' end,
      case when ${rare} then 'login.failed' else 'user.updated' end, ${userIdOf(`n * 7919 % ${users}`)}, 'hash'
    from generate_series(1::bigint, ${changes}) n`
}

/** The newest entries are open: half of a dead instance, half with an expired lease. */
async function fillEntries(client: pg.Client, { users, entries, now }: Filling): Promise<void> {
  const hours = 1000
  const perHour = entries / hours
  const open = 'hour > 990 and n <= 10'
  const prefixes = Array.from({ length: hours }, (_, hour) =>
    sortableIdFrom('req_', now - (hours - hour) * hourMs),
  )
  await client.query(
    `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, input, output, units,
       status, upstream, address, instance, started_at, ended_at, duration_ms, lease_until)
     select prefix || lpad(n::text, 14, '0'), ${userIdOf(`(hour * ${perHour} + n) * 7919 % ${users}`)}, 'metered',
       '/v1/messages', 'claude', 'claude-x', case when ${open} then 'open' else 'settled' end, 20, 10, 10, 10, 20,
       200, 'first', '192.0.2.1', case when n % 2 = 0 then '' else 'gone' end, at, at, 900,
       case when ${open} and n % 2 = 0 then at end
     from unnest($1::text[]) with ordinality as given (prefix, hour), generate_series(1::bigint, ${perHour}) n,
       lateral (select ${now - hours * hourMs} + hour * ${hourMs} as at) as times`,
    [prefixes],
  )
  await client.query(
    'insert into user_requests (user_id, id) select user_id, id from entries order by user_id, id on conflict do nothing',
  )
  await client.query("update facts set value = $1 where name = 'user_requests_below'", [
    sortableIdFrom('', now),
  ])
}
