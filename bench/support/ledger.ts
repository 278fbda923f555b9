import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { sortableIdFrom } from '#lib/sortable-id.ts'

/**
 * A ledger as months of traffic leave it, written directly into the tables: entries, and their totals where upkeep
 * would have put them by now.
 */
export interface LedgerSize {
  readonly entries: number
  readonly days: number
  readonly now: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** The users of one hour, and the step to those of the next hour. */
const usersAnHour = 400
const activeUsers = 5000

const kinds = [
  ['turbo', 'gpt-4o-mini', 'first', 200],
  ['turbo', 'gpt-4o-mini', 'second', 200],
  ['gpt4', 'gpt-4o', 'first', 200],
  ['gpt4', 'gpt-4.1', 'first', 200],
  ['gpt4', 'gpt-5', 'second', 200],
  ['claude', 'claude-sonnet-4', 'third', 200],
  ['claude', 'claude-opus-4', 'third', 200],
  ['claude', 'claude-haiku-4', 'third', 200],
  ['gpt4', 'gpt-4o', 'first', 429],
  ['claude', 'claude-sonnet-4', 'third', 529],
  ['gpt4', 'gpt-4o', '', 499],
  ['turbo', 'gpt-4o-mini', 'first', 502],
] as const

/** @returns the id of a user who used something on every day */
export function fillLedger(path: string, { entries, days, now }: LedgerSize): string {
  const db = new DatabaseSync(path)
  db.exec('pragma synchronous = off; pragma cache_size = -500000; pragma wal_autocheckpoint = 20000')
  const userIds = db
    .prepare('select id from users order by id limit ?')
    .all(activeUsers)
    .map(({ id }) => String(id))
  const insert = db.prepare(
    `insert into entries (id, user_id, kind, route, family, model, state, hold, input_estimate, input, output, units,
       status, upstream, address, instance, started_at, ended_at, duration_ms)
     values (?, ?, 'metered', '/v1/chat/completions', ?, ?, 'settled', 120, 20, 20, 30, 50, ?, ?, '192.0.2.1', 'gone', ?, ?, 900)`,
  )
  const rollUps = createRollUps(db, now)
  const from = Math.floor((now - days * dayMs) / hourMs) * hourMs
  const stepMs = (now - from) / entries
  let hourAt = from
  db.exec('begin')
  for (let index = 0; index < entries; index++) {
    const at = Math.floor(from + index * stepMs)
    if (at >= hourAt + hourMs) {
      rollUps.flush()
      db.exec('commit; begin')
      hourAt += hourMs
    }
    const hour = (hourAt - from) / hourMs
    // The first user is active in every hour; the others come and go. Each user has three kinds of requests.
    const who = index % usersAnHour
    const userId = userIds[who === 0 ? 0 : (hour * 97 + who) % userIds.length] ?? ''
    const kind = kinds[(who + (index % 3) * 5) % kinds.length] ?? kinds[0]
    const [family, model, upstream, status] = kind
    const id = `${sortableIdFrom('req_', at)}${index.toString(36).padStart(14, '0')}`
    insert.run(id, userId, family, model, status, upstream, at, at)
    rollUps.add(userId, kind, at)
    if (index % 1_000_000 === 0 && index > 0) console.error(`  ${index} entries written`)
  }
  rollUps.flush()
  db.exec('commit')
  db.exec('pragma wal_checkpoint(truncate)')
  db.close()
  return userIds[0] ?? ''
}

type Kind = (typeof kinds)[number]

/** Adds up an hour's requests, and writes them when it is over. */
function createRollUps(db: DatabaseSync, now: number) {
  const prepare = (table: string, keys: string): StatementSync =>
    db.prepare(
      `insert into ${table} (${keys}, family, model, upstream, status, requests, estimated, input, cache_read,
         cache_written, output, reasoning) values (${keys.replaceAll(/\w+/g, '?')}, ?, ?, ?, ?, ?, 0, ?, 0, 0, ?, 0)
       on conflict do update set requests = requests + excluded.requests, input = input + excluded.input,
         output = output + excluded.output`,
    )
  const statements = {
    userHours: prepare('usage_hours', 'user_id, hour_at'),
    userMinutes: prepare('usage_minutes', 'user_id, minute_at'),
    hours: prepare('total_hours', 'hour_at'),
    minutes: prepare('total_minutes', 'minute_at'),
  }
  const counts = new Map<string, { requests: number; readonly run: (requests: number) => void }>()

  function count(statement: keyof typeof statements, keys: readonly (string | number)[], kind: Kind): void {
    const name = `${statement} ${keys.join(' ')} ${kind.join(' ')}`
    const known = counts.get(name)
    if (known) known.requests++
    else
      counts.set(name, {
        requests: 1,
        run: (requests) =>
          statements[statement].run(...keys, ...kind, requests, 20 * requests, 30 * requests),
      })
  }

  return {
    add(userId: string, kind: Kind, at: number): void {
      const [hourAt, minuteAt] = [Math.floor(at / hourMs) * hourMs, Math.floor(at / 60_000) * 60_000]
      if (hourAt < now - dayMs) count('userHours', [userId, hourAt], kind)
      else count('userMinutes', [userId, minuteAt], kind)
      count('hours', [hourAt], kind)
      if (minuteAt >= now - 7 * dayMs) count('minutes', [minuteAt], kind)
    },
    flush(): void {
      for (const { requests, run } of counts.values()) run(requests)
      counts.clear()
    },
  }
}
