import { setTimeout as wait } from 'node:timers/promises'
import type { Actor } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import { gatheredAfterMs } from '#storage/ledger/user-requests.ts'
import type { UpkeepStore } from '#storage/store.ts'

/**
 * The periodic upkeep of the ledger: gathers a day's minutes into hours, removes rows whose retention has ended, and,
 * more often, gathers requests by user. A pass runs one task after the other in batches of a few milliseconds. Between
 * two batches it pauses for at least as long as the last one took, so that it never takes more than half of the store's
 * time.
 */
interface UpkeepSettings {
  /** Days that closed entries, and which events were counted, are kept; 0: for ever. */
  readonly retentionDays: number
  /** Days that changes are kept; 0: for ever. */
  readonly auditDays: number
  /** Days after the expiry of a temporary user, or the edit that set it if that was later, to the removal; -1: never. */
  readonly purgeAfterDays: number
}

export interface UpkeepOptions extends UpkeepSettings {
  readonly clock: Clock
  /** How long after the start the first pass begins, and how long after the end of one the next. */
  readonly firstMs?: number
  readonly everyMs?: number
  /** How long after the end of one gathering of requests the next begins. */
  readonly gatherEveryMs?: number
  /** The least rest between two batches. */
  readonly pauseMs?: number
  readonly onDone?: (done: UpkeepDone) => void
  readonly onFailure?: (error: unknown) => void
}

/** What a pass does; requests are gathered more often. */
type TaskName = Exclude<keyof UpkeepStore, 'gatherRequests'>

/** How many rows each task of a pass has changed; a task without rows is absent. */
export type UpkeepDone = Readonly<Partial<Record<TaskName, number>>>

const actor: Actor = { kind: 'upkeep', name: 'expired users' }

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 86_400_000

const batchRows = 500
/** Rows of each kind of request in one batch; it takes a few milliseconds. */
const gatheredRows = 250
const gatherMs = 10_000
/** A correction that is older is removed: its provider may count in another way by now. */
const correctionsMs = 90 * dayMs
/** How long after its end a link that shows an access token is listed. */
const claimsMs = 30 * dayMs
/** How far back a chart by the minute reaches: for one user, and for all users together. */
const userMinutesMs = dayMs
const totalMinutesMs = 7 * dayMs

export interface Upkeep {
  /** Starts no further batch, and waits for the running one. */
  readonly close: () => Promise<void>
}

export function openUpkeep(store: UpkeepStore, options: UpkeepOptions): Upkeep {
  const { clock, firstMs = minuteMs, everyMs = hourMs, gatherEveryMs = gatherMs, pauseMs = 25 } = options
  const closing = new AbortController()
  const { signal } = closing

  async function pass(): Promise<void> {
    const done = await runUpkeep(store, { ...options, now: clock(), pauseMs, signal })
    if (Object.keys(done).length > 0) options.onDone?.(done)
  }

  let failed = false
  async function gather(): Promise<void> {
    try {
      // Until a request is gathered, a list by user searches the entries for it, so this runs soon after the start.
      await repeat(() => store.gatherRequests(clock() - gatheredAfterMs, gatheredRows), { pauseMs, signal })
      failed = false
    } catch (error) {
      // An unavailable database is reported once, until it answers again.
      if (!failed) options.onFailure?.(error)
      failed = true
    }
  }

  const loops = [
    openLoop(pass, { firstMs, everyMs, signal }),
    openLoop(gather, { firstMs: gatherEveryMs, everyMs: gatherEveryMs, signal }),
  ]
  return {
    async close() {
      closing.abort()
      await Promise.all(loops.map((loop) => loop.close()))
    },
  }
}

/** Repeats a task, each run after the last one has ended. */
function openLoop(
  work: () => Promise<void>,
  times: { readonly firstMs: number; readonly everyMs: number; readonly signal: AbortSignal },
): Upkeep {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    await work()
    if (!times.signal.aborted) schedule(times.everyMs)
  }

  /** The times vary, so that instances which were started together do not run their passes together. */
  function schedule(ms: number): void {
    timer = setTimeout(
      () => {
        running = run()
      },
      ms * (0.9 + 0.2 * Math.random()),
    )
    timer.unref()
  }

  schedule(times.firstMs)
  return {
    async close() {
      clearTimeout(timer)
      await running
    },
  }
}

export interface UpkeepPass extends UpkeepSettings {
  readonly now: number
  readonly pauseMs: number
  /** Ends the pass after the running batch. */
  readonly signal?: AbortSignal
  readonly onFailure?: (error: unknown) => void
}

/** Runs one pass. A task that fails is left to the next pass, and the others still run. */
export async function runUpkeep(store: UpkeepStore, pass: UpkeepPass): Promise<UpkeepDone> {
  const done: Partial<Record<TaskName, number>> = {}
  for (const [name, batch] of tasksOf(store, pass)) {
    try {
      const rows = await repeat(batch, pass)
      if (rows > 0) done[name] = rows
    } catch (error) {
      pass.onFailure?.(error)
    }
  }
  return done
}

type Task = readonly [name: TaskName, batch: () => Promise<number>]

function tasksOf(
  store: UpkeepStore,
  { now, retentionDays, auditDays, purgeAfterDays }: UpkeepPass,
): readonly Task[] {
  // Only whole hours are gathered, so that an hour has either all of its minutes or just its sum.
  const gatherBefore = Math.floor((now - userMinutesMs) / hourMs) * hourMs
  const keptSince = now - retentionDays * dayMs
  const tasks: Task[] = [
    ['gatherUsage', () => store.gatherUsage(gatherBefore, batchRows)],
    ['purgeMinutes', () => store.purgeMinutes(now - totalMinutesMs, batchRows)],
    ['purgeAddresses', () => store.purgeAddresses(now, batchRows)],
    ['purgeClaims', () => store.purgeClaims(now - claimsMs, batchRows)],
    ['purgeTokens', () => store.purgeTokens(now, batchRows)],
    ['purgeTraces', () => store.purgeTraces(undefined, batchRows)],
    ['purgeCorrections', () => store.purgeCorrections(now - correctionsMs, batchRows)],
  ]
  if (retentionDays > 0) {
    tasks.push(['purgeEntries', () => store.purgeEntries(keptSince, batchRows)])
    tasks.push(['purgeEvents', () => store.purgeEvents(keptSince, batchRows)])
  }
  if (auditDays > 0)
    tasks.push(['purgeChanges', () => store.purgeChanges(now - auditDays * dayMs, batchRows)])
  if (purgeAfterDays >= 0)
    tasks.push([
      'purgeUsers',
      () => store.purgeUsers(now - purgeAfterDays * dayMs, batchRows, { now, actor }),
    ])
  return tasks
}

async function repeat(
  batch: () => Promise<number>,
  { pauseMs, signal }: Pick<UpkeepPass, 'pauseMs' | 'signal'>,
): Promise<number> {
  let rows = 0
  while (!signal?.aborted) {
    const begin = performance.now()
    const count = await batch()
    rows += count
    if (count === 0) break
    await rest(Math.max(pauseMs, performance.now() - begin), signal)
  }
  return rows
}

/** Ends early when the upkeep is closed. The timer does not keep the process alive. */
function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return wait(ms, undefined, { ref: false, ...(signal && { signal }) }).catch(() => undefined)
}
