import { setTimeout as wait } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import type { Vault } from '#core/vault.ts'
import { doApart } from '#lib/apart.ts'
import { integer, text } from '#storage/schema/columns.ts'
import { heldKeys, refuseMissing, replaceHeld } from '#storage/schema/held-key.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { readKept, writeKept } from './kept-lookups.ts'
import { type SealedTexts, sealedTexts } from './sealed-texts.ts'

/**
 * Seals everything anew with the present master key, while instances work on the same rows. Each row says by itself
 * which key it is sealed with, and is changed only where it is still as it was read. So the work can be killed at any
 * point and begun again, and what another process writes meanwhile stays.
 */
export interface Rekey {
  /** Stops after the rows that are being written. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: RekeyProgress) => void
  readonly rowsAtOnce?: number
}

export interface RekeyProgress {
  readonly table: string
  readonly rows: number
  /** How many there were when it began; more may come. */
  readonly of: number
}

export type Rekeyed =
  | { readonly kind: 'rekeyed'; readonly rows: number; readonly unreadable: readonly string[] }
  | { readonly kind: 'interrupted' }
  /** Everything was under the present key before. */
  | { readonly kind: 'nothing' }

/** What an engine brings. */
export interface RekeyEngine {
  readonly db: Kysely<Schema>
  readonly vault: Vault
  /** The time by the clock of the heartbeats, epoch milliseconds. */
  readonly now: () => Promise<number>
  /** Runs a change again where it met another one. */
  readonly retried: <T>(work: () => Promise<T>) => Promise<T>
  /** Whether rows have locks, which are then taken in the order of the ids, as everywhere. */
  readonly hasRowLocks: boolean
  /** Whether an error is about the rows, so that fewer of them may pass. */
  readonly isFault: (error: unknown) => boolean
}

const rowsAtOnceDefault = 200
/** An instance without a heartbeat for so long is dead. */
const aliveMs = 15_000
/** Kept answers are looked up by a hash for a day. */
const answersKeptMs = 24 * 3_600_000

/** Throws with one sentence where a key is missing, or where an instance still writes with the other one. */
export async function rekey(
  engine: RekeyEngine,
  { signal, onProgress, rowsAtOnce }: Rekey,
): Promise<Rekeyed> {
  const { db, vault } = engine
  const held = await heldKeys(db)
  refuseMissing(held, vault)
  if (held.every((each) => each === vault.fingerprint)) return { kind: 'nothing' }
  await refuseOtherWriters(engine)
  if (!held.includes(vault.fingerprint)) await replaceHeld(db, held, [...held, vault.fingerprint])
  await keepLookupKey(engine)
  const unreadable = new Set<string>()
  let rows = 0
  for (;;) {
    let count = 0
    for (const texts of sealedTexts) {
      const of = await countOld(engine, texts)
      const step = { ...engine, texts, unreadable, rowsAtOnce: rowsAtOnce ?? rowsAtOnceDefault }
      const before = count
      const isDone = await resealAll(step, signal, (done) => {
        count = before + done
        if (of > 0) onProgress({ table: texts.table, rows: done, of: Math.max(done, of) })
      })
      if (!isDone) return { kind: 'interrupted' }
    }
    rows += count
    if (count === 0) break
  }
  await refuseOtherWriters(engine)
  await endKey(engine)
  return { kind: 'rekeyed', rows, unreadable: [...unreadable] }
}

/**
 * From now on the other key is not needed. An instance that begins meanwhile writes its heartbeat first and looks second
 * whether its key is named; here it is the other way round, so that one of the two sees the other.
 */
async function endKey(engine: RekeyEngine): Promise<void> {
  const { db, vault } = engine
  const held = await heldKeys(db)
  await replaceHeld(db, held, [vault.fingerprint])
  try {
    await refuseOtherWriters(engine)
  } catch (error) {
    await replaceHeld(db, [vault.fingerprint], held)
    throw error
  }
}

/** What they write from now on would be unreadable as soon as the other key is gone. */
async function refuseOtherWriters({ db, vault, now }: RekeyEngine): Promise<void> {
  const other = await db
    .selectFrom('instances')
    .select('id')
    .where('seen_at', '>', (await now()) - aliveMs)
    .where((e) => e.or([e('master_key', 'is', null), e('master_key', '<>', vault.fingerprint)]))
    .executeTakeFirst()
  if (other)
    throw new Error(
      `the instance ${other.id} does not write with this MASTER_KEY: start every instance with this MASTER_KEY and MASTER_KEY_PREVIOUS, wait 15 seconds, and try again`,
    )
}

/** Keys of hashes that no row can have any more are left out. */
async function keepLookupKey({ db, vault, now }: RekeyEngine): Promise<void> {
  const at = await now()
  const oldestAt = Math.min(at, await oldestOf(db, 'admin_keys'), await oldestOf(db, 'claims'))
  const kept = (await readKept(db, vault)).filter(
    ({ since }) => since >= oldestAt || since > at - answersKeptMs,
  )
  const { otherLookupKey: key } = vault
  if (key === undefined || kept.some((each) => each.key === key)) return writeKept(db, vault, kept)
  return writeKept(db, vault, [...kept, { since: at, key }])
}

/** When the oldest row was made whose secret is known by its hash alone. */
async function oldestOf(db: Kysely<Schema>, table: 'admin_keys' | 'claims'): Promise<number> {
  const query = db.selectFrom(table).select((e) => e.fn.min('created_at').as('at'))
  const oldest = await query.executeTakeFirst()
  return oldest?.at == null ? Number.POSITIVE_INFINITY : integer(oldest.at)
}

interface Step extends RekeyEngine {
  readonly texts: SealedTexts
  readonly unreadable: Set<string>
  readonly rowsAtOnce: number
}

interface OldRow {
  readonly id: string
  readonly sealed: string
}

interface NewRow extends OldRow {
  readonly anew: string
  readonly hmac: string
}

/** Answers false where the signal stopped it. */
async function resealAll(step: Step, signal: AbortSignal, onRows: (rows: number) => void): Promise<boolean> {
  let after = ''
  let done = 0
  for (;;) {
    if (signal.aborted) return false
    const begunAt = performance.now()
    const rows = await step.retried(() => readOld(step, after))
    const last = rows.at(-1)
    if (!last) return true
    after = last.id
    await doApart(
      rows.flatMap((row) => resealed(step, row)),
      async (some) => {
        done += await step.retried(() => writeNew(step, some))
      },
      step.isFault,
      ({ id }) => void step.unreadable.add(id),
    )
    onRows(done)
    // Half of the time is left to the instances.
    await wait(performance.now() - begunAt)
  }
}

function isOld({ vault, texts }: Pick<Step, 'vault' | 'texts'>): RawBuilder<boolean> {
  return sql<boolean>`substr(${sql.ref(texts.sealed)}, 1, ${sql.lit(vault.version.length)}) <> ${vault.version}`
}

async function countOld(engine: RekeyEngine, texts: SealedTexts): Promise<number> {
  const { rows } = await sql<{ count: unknown }>`
    select count(*) as count from ${sql.table(texts.table)} where ${isOld({ ...engine, texts })}`.execute(
    engine.db,
  )
  return integer(rows[0]?.count)
}

async function readOld({ db, texts, rowsAtOnce, vault }: Step, after: string): Promise<readonly OldRow[]> {
  const id = sql.ref(texts.id)
  const { rows } = await sql<{ id: unknown; sealed: unknown }>`
    select ${id} as id, ${sql.ref(texts.sealed)} as sealed from ${sql.table(texts.table)}
    where ${id} > ${after} and ${isOld({ vault, texts })} order by ${id} limit ${rowsAtOnce}`.execute(db)
  return rows.map((row) => ({ id: text(row.id), sealed: text(row.sealed) }))
}

/** Nothing for a text that neither key opens: it is reported at the end. */
function resealed({ vault, unreadable, texts }: Step, row: OldRow): readonly NewRow[] {
  try {
    const plain = vault.unseal(row.sealed, row.id)
    const hmac = texts.isDigest ? vault.digestLookupOf(plain) : vault.lookupOf(plain)
    return [{ ...row, anew: vault.seal(plain, row.id), hmac }]
  } catch {
    unreadable.add(row.id)
    return []
  }
}

/** One statement, so that either all of these rows are changed or none is. Answers how many were. */
async function writeNew(step: Step, rows: readonly NewRow[]): Promise<number> {
  if (rows.length === 0) return 0
  const { db, texts, hasRowLocks } = step
  const id = sql.ref(texts.id)
  const ids = sql.join(rows.map((row) => row.id))
  const update = async (on: Kysely<Schema> | Transaction<Schema>) => {
    const sets = [sql`${sql.ref(texts.sealed)} = ${chosen(id, rows, (row) => row.anew)}`]
    if (texts.hmac !== undefined)
      sets.push(sql`${sql.ref(texts.hmac)} = ${chosen(id, rows, (row) => row.hmac)}`)
    const { numAffectedRows } = await sql`
      update ${sql.table(texts.table)} set ${sql.join(sets)}
      where ${id} in (${ids}) and ${sql.ref(texts.sealed)} in (${sql.join(rows.map((row) => row.sealed))})`.execute(
      on,
    )
    return Number(numAffectedRows ?? 0)
  }
  if (!hasRowLocks) return update(db)
  return db.transaction().execute(async (trx) => {
    await sql`select 1 from ${sql.table(texts.table)} where ${id} in (${ids}) order by ${id} || '' for update`.execute(
      trx,
    )
    return update(trx)
  })
}

function chosen(
  id: RawBuilder<unknown>,
  rows: readonly NewRow[],
  textOf: (row: NewRow) => string,
): RawBuilder<unknown> {
  const cases = rows.map((row) => sql`when ${row.id} then cast(${textOf(row)} as text)`)
  return sql`case ${id} ${sql.join(cases, sql` `)} end`
}
