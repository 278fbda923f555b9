import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Side } from '../support/side.ts'
import type { SideName } from './ask.ts'
import type { Turn } from './ratio.ts'
import { openSideOf } from './side.ts'

/**
 * How often both are started anew: V8 compiles the same sources differently from one process to the next, and the speed
 * differs by 5 % and more for the life of a process. More rounds of the same two processes would not show that.
 */
const openings = 4

export interface Turns {
  /** The trees whose sources are measured. */
  readonly ours: string
  readonly theirs: string
  readonly rounds: number
  /** Folder for all files that are written. */
  readonly folder: string
  readonly signal: AbortSignal
}

/**
 * One round of each in turns. The first of the two changes from round to round, so that a machine that becomes slower
 * or faster favours neither.
 */
export async function takeTurns(bench: SideName, turns: Turns): Promise<readonly Turn[]> {
  const taken: Turn[] = []
  const begin = performance.now()
  for (const [index, rounds] of shareOut(turns.rounds, openings).entries()) {
    taken.push(...(await takeOpened(bench, { ...turns, rounds }, index % 2 === 0)))
    const seconds = (performance.now() - begin) / 1000
    console.error(`${bench}: ${taken.length} of ${turns.rounds} rounds, ${seconds.toFixed(0)} s`)
  }
  return taken
}

/** Divides the rounds over the starts, with at least one round for each. */
export function shareOut(rounds: number, openingsMost: number): readonly number[] {
  const count = Math.min(rounds, openingsMost)
  return Array.from({ length: count }, (_, index) => Math.floor((rounds + index) / count))
}

/**
 * @param isOursFirst which side is opened first. That one is idle while the other one warms up, and is slower for the rest
 *   of its life: the same sources against themselves read 0.81 with one order, and 1.20 with the other.
 */
async function takeOpened(
  bench: SideName,
  { ours, theirs, rounds, folder, signal }: Turns,
  isOursFirst: boolean,
): Promise<readonly Turn[]> {
  const open = (tree: string, name: string) => {
    const temporary = join(folder, 'written', name)
    mkdirSync(temporary, { recursive: true })
    return openSideOf(bench, { tree, env: { TMPDIR: temporary }, signal })
  }
  const first = isOursFirst ? await open(ours, 'ours') : undefined
  const their = await open(theirs, 'theirs')
  const our = first ?? (await open(ours, 'ours'))
  const taken: Turn[] = []
  for (let round = 0; round < rounds; round++)
    taken.push(round % 2 === 0 ? await oursFirst(our, their) : await theirsFirst(our, their))
  await Promise.all([our.close(), their.close()])
  return taken
}

async function oursFirst(our: Side, their: Side): Promise<Turn> {
  const ours = await our.round()
  return { ours, theirs: await their.round() }
}

async function theirsFirst(our: Side, their: Side): Promise<Turn> {
  const theirs = await their.round()
  return { theirs, ours: await our.round() }
}
