import { clear } from '#admin/request/token-sight.ts'
import { toWireIssues } from '#admin/users/input.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { namedMax } from '#admin/wire/unknown-members.ts'
import { shownPartOf } from '#core/access-token.ts'
import type { Issue } from '#core/errors.ts'
import { issuesMax } from '#core/issues.ts'
import { takenDigestIssue, takenIdIssue } from '#core/user-id.ts'
import { present } from '#lib/present.ts'
import { createTurns } from '#lib/turns.ts'
import type { ImportEffect, UserStore, UserWrite } from '#storage/store/users.ts'
import { StoreUnavailable } from '#storage/store.ts'
import { type Effect, effectOf } from './compare.ts'
import type { Input } from './inputs.ts'

/** What an import has done so far, or would do. */
export interface ImportReport {
  /** Records that were read. */
  records: number
  created: number
  changed: number
  unchanged: number
  failed: number
  /** The last record up to which all is written, wrong ones aside; 0 before the first batch. */
  through: number
  /** The line from which the file cannot be read on. */
  unreadFrom: number | undefined
  readonly errors: (Issue & { readonly line: number })[]
  /** The first of what records say that has no place here, and how many records say such. */
  readonly warnings: (Issue & { readonly line: number })[]
  warned: number
  readonly differences: Difference[]
  readonly ignored: Set<string>
  /** Why it ended before the end of the file. */
  stop: Stop | undefined
}

interface Difference {
  readonly line: number
  readonly kind: 'created' | 'changed'
  readonly id?: string
  readonly nickname?: string
  readonly changes?: readonly {
    readonly field: string
    readonly before?: unknown
    readonly after?: unknown
  }[]
}

type Stop =
  | { readonly kind: 'wrong_record' }
  /** The body broke off. */
  | { readonly kind: 'cut'; readonly error: unknown }
  /** The store did not answer; `mayHaveHappened`: the last batch may be written. */
  | { readonly kind: 'failed'; readonly error: unknown }

export interface ImportParts {
  readonly users: Pick<UserStore, 'findUsers'>
  /** One batch, in one transaction, of which nothing is told but what became of each record. */
  readonly import: (writes: readonly UserWrite[]) => ReturnType<UserStore['importUsers']>
  /** One batch, in one transaction. */
  readonly write: (writes: readonly UserWrite[]) => ReturnType<UserStore['writeUsers']>
  readonly clock: () => number
  readonly wire: UserWire
  readonly isDryRun: boolean
  readonly onError: 'stop' | 'skip'
}

type Write = Extract<Input, { readonly kind: 'write' }>

/**
 * Records in a transaction: a few milliseconds of the writer's time, so that requests which come in meanwhile are not
 * kept waiting. With 200 the import took a fifth less time, but requests beside it waited three times as long.
 */
const batchRecords = 50
const batchBytes = 2 * 1024 * 1024
const differencesMax = 100

/** Imports the records batch by batch. One batch is written while the next is read. */
export async function runImport(inputs: AsyncIterable<Input>, parts: ImportParts): Promise<ImportReport> {
  const report: ImportReport = {
    ...{ records: 0, created: 0, changed: 0, unchanged: 0, failed: 0, through: 0 },
    ...{ errors: [], warnings: [], warned: 0, differences: [] },
    ...{ ignored: new Set<string>(), stop: undefined },
    unreadFrom: undefined,
  }
  const turn = createTurns()
  let batch: Write[] = []
  let bytes = 0
  let running: Promise<void> = Promise.resolve()
  const flush = async (): Promise<void> => {
    await running
    if (report.stop || batch.length === 0) return
    const full = batch
    batch = []
    bytes = 0
    running = writeBatch(full, parts, report)
  }
  try {
    for await (const input of inputs) {
      report.records += 1
      if (input.kind === 'invalid') {
        await running
        fail(report, input, parts.onError)
        if (input.isLast) report.unreadFrom = input.line
      } else {
        noteIgnored(report, input.ignored)
        noteWarnings(report, input)
        batch.push(input)
        bytes += input.bytes
        if (batch.length >= batchRecords || bytes >= batchBytes) await flush()
      }
      if (report.stop) break
      await turn()
    }
  } catch (error) {
    report.stop ??= { kind: 'cut', error }
  }
  await flush()
  await running
  return report
}

function fail(
  report: ImportReport,
  { line, issues }: { readonly line: number; readonly issues: readonly Issue[] },
  onError: ImportParts['onError'],
): void {
  report.failed += 1
  const room = Math.max(0, issuesMax - report.errors.length)
  report.errors.push(...issues.slice(0, room).map((issue) => ({ line, ...issue })))
  if (onError === 'stop') report.stop = { kind: 'wrong_record' }
}

function noteIgnored({ ignored }: ImportReport, names: readonly string[]): void {
  for (const name of names) if (ignored.size < namedMax) ignored.add(name)
}

function noteWarnings(report: ImportReport, { line, warnings }: Write): void {
  if (warnings.length === 0) return
  report.warned += 1
  const room = Math.max(0, issuesMax - report.warnings.length)
  report.warnings.push(...warnings.slice(0, room).map((warning) => ({ line, ...warning })))
}

interface Planned {
  readonly input: Write
  readonly effect: Effect
}

async function writeBatch(batch: readonly Write[], parts: ImportParts, report: ImportReport): Promise<void> {
  try {
    if (!parts.isDryRun) {
      const effects = await importWhole(batch, parts)
      for (const effect of effects ?? []) report[effect] += 1
      if (effects) report.through = batch.at(-1)?.line ?? report.through
      if (effects) return
    }
    let planned = await plan(batch, parts)
    for (;;) {
      const wrong = planned.filter(({ effect }) => effect.kind === 'invalid')
      for (const { input, effect } of wrong)
        if (effect.kind === 'invalid')
          fail(report, { line: input.line, issues: effect.issues }, parts.onError)
      if (report.stop) return
      planned = planned.filter(({ effect }) => effect.kind !== 'invalid')
      const refused = parts.isDryRun ? undefined : await write(planned, parts)
      if (refused === undefined) break
      // Only the store has seen what is wrong with it; the others are written without it.
      planned = planned.map((each, index) => (index === refused.index ? { ...each, effect: refused } : each))
    }
    count(report, planned, parts.isDryRun)
    report.through = batch.at(-1)?.line ?? report.through
  } catch (error) {
    report.stop = { kind: 'failed', error }
  }
}

/** Most batches are right, and are written without being read before; undefined where something is wrong with this one. */
async function importWhole(
  batch: readonly Write[],
  parts: ImportParts,
): Promise<readonly ImportEffect[] | undefined> {
  try {
    const result = await parts.import(batch.map(toWrite))
    return result.kind === 'imported' ? result.effects : undefined
  } catch (error) {
    if (error instanceof StoreUnavailable) throw error
    // Such as a damaged row: whose it is is found by reading.
    return undefined
  }
}

function toWrite({ ref, tokenDigest, edit, id }: Write): UserWrite {
  return { ref, edit, ...present({ tokenDigest, newId: id }) }
}

/** What each record would do to the users as they are now, and to those of the records before it. */
async function plan(
  batch: readonly Write[],
  { users, clock, wire }: ImportParts,
): Promise<readonly Planned[]> {
  const now = clock()
  const found = await users.findUsers(
    batch.map(({ ref, tokenDigest, id }) => ({ ref, ...present({ tokenDigest, id }) })),
    now,
  )
  const turn = createTurns()
  const planned: Planned[] = []
  const seen = new Set<string>()
  const newIds = new Map<string, string>()
  for (const [index, input] of batch.entries()) {
    const { user, idOwner, digestOwner, isDamaged } = found[index] ?? {}
    if (isDamaged) {
      const issues = [{ path: 'token', message: 'names a user whose stored row is damaged' }]
      planned.push({ input, effect: { kind: 'invalid', issues } })
      continue
    }
    // A record that names two users: whichever it is meant for, the other one would be changed or left out.
    const isOfAnother = user
      ? idOwner !== undefined && idOwner !== user.id
      : input.id !== undefined && isTaken(input, idOwner, newIds)
    if (isOfAnother) {
      planned.push({ input, effect: { kind: 'invalid', issues: [takenIdIssue] } })
      continue
    }
    if (digestOwner !== undefined && digestOwner !== user?.id) {
      planned.push({ input, effect: { kind: 'invalid', issues: [takenDigestIssue] } })
      continue
    }
    const name = nameOf(input)
    if (user === undefined && input.id !== undefined) newIds.set(input.id, name)
    // A second record of one user is written whatever it says: what it meets is not stored yet.
    const isSecond = seen.has(name)
    seen.add(name)
    const edited = effectOf(user, input.edit, (shown) => wire.toUser(shown, clear), now)
    const isNewDigest = user !== undefined && input.tokenDigest !== undefined && digestOwner === undefined
    const effect = isNewDigest ? withDigest(edited, input.tokenDigest ?? '') : edited
    planned.push({ input, effect: isSecond && effect.kind !== 'invalid' ? secondOf(effect) : effect })
    await turn()
  }
  return planned
}

/** What tells the records of one user from those of another. */
function nameOf({ ref }: Write): string {
  return 'tokenDigest' in ref ? `sha256 ${ref.tokenDigest}` : `token ${ref.accessToken}`
}

function withDigest(effect: Effect, digest: string): Effect {
  const change = { field: 'tokenSha256', after: shownPartOf(digest) }
  if (effect.kind === 'changed') return { kind: 'changed', changes: [...effect.changes, change] }
  return effect.kind === 'unchanged' ? { kind: 'changed', changes: [change] } : effect
}

function isTaken(input: Write, idOwner: string | undefined, newIds: ReadonlyMap<string, string>): boolean {
  const other = newIds.get(input.id ?? '')
  return idOwner !== undefined || (other !== undefined && other !== nameOf(input))
}

function secondOf(effect: Effect): Effect {
  return effect.kind === 'changed' ? effect : { kind: 'changed', changes: [] }
}

async function write(
  planned: readonly Planned[],
  { write: writeAll }: ImportParts,
): Promise<
  { readonly kind: 'invalid'; readonly index: number; readonly issues: readonly Issue[] } | undefined
> {
  const wanted = planned.flatMap(({ input, effect }, index) => {
    if (effect.kind === 'unchanged' || effect.kind === 'invalid') return []
    return [{ index, made: toWrite(input) }]
  })
  if (wanted.length === 0) return undefined
  const result = await writeAll(wanted.map(({ made }) => made))
  if (result.kind === 'written') return undefined
  const index = wanted[result.index]?.index ?? 0
  const issues =
    result.kind === 'invalid' ? toWireIssues(result.issues) : [{ path: '', message: 'is not known' }]
  return { kind: 'invalid', index, issues }
}

function count(report: ImportReport, planned: readonly Planned[], isDryRun: boolean): void {
  for (const { input, effect } of planned) {
    if (effect.kind === 'invalid') continue
    report[effect.kind] += 1
    if (!isDryRun || effect.kind === 'unchanged' || report.differences.length >= differencesMax) continue
    const { line, id, edit } = input
    report.differences.push({
      line,
      kind: effect.kind,
      ...(id !== undefined && { id }),
      ...(typeof edit.nickname === 'string' && { nickname: edit.nickname }),
      ...(effect.kind === 'changed' && { changes: effect.changes }),
    })
  }
}
