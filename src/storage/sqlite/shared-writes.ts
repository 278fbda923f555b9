import type { Lane } from '#lib/lane.ts'
import { failureHeard } from '#storage/sqlite/threads/failure-sent.ts'
import type { Thread } from '#storage/sqlite/threads/thread.ts'
import type { WriteAnswer, WriteCall } from '#storage/sqlite/threads/together.ts'
import type { WriterWork } from '#storage/sqlite/threads/writer.ts'

interface AskedWrite extends WriteCall {
  /** It may remove addresses, which the ledger remembers as written. */
  readonly isOfAddresses: boolean
}

/** Runs a write of the control plane. */
export type SharedWrites = (write: AskedWrite) => Promise<unknown>

interface Waiting extends AskedWrite {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** So few users that an admission never waits long for its turn of the lane. A larger write goes alone. */
const usersTogetherMax = 64

const usersIn = ({ args: [first] }: WriteCall) => (Array.isArray(first) ? Math.max(1, first.length) : 1)

/** How many of the first writes share a turn. */
function countTogether(writes: readonly WriteCall[]): number {
  let users = 0
  for (const [index, write] of writes.entries()) {
    users += usersIn(write)
    if (users > usersTogetherMax) return Math.max(1, index)
  }
  return writes.length
}

/**
 * Writes that come while the lane is busy are handed to the writer together. They share a turn of the lane, a
 * transaction and a sync; each has a savepoint, so that one that is refused or fails leaves the others alone. Every one
 * is answered after the commit. A write that comes alone waits
 * for none.
 *
 * @param forgetAddresses called within the turn of a write that may remove some
 */
export function createSharedWrites(
  lane: Lane,
  writer: Pick<Thread<WriterWork>, 'call' | 'run'>,
  forgetAddresses: () => void,
): SharedWrites {
  const waiting: Waiting[] = []
  let isPlanned = false

  function plan(): void {
    if (isPlanned || waiting.length === 0) return
    isPlanned = true
    // The callers have promises of their own; a failure of the lane itself comes after they are answered.
    const go = () => lane.run(turn).catch(() => undefined)
    // After the requests that came at the same moment: each of their writes would take a turn of its own.
    setImmediate(() => void go())
  }

  async function turn(): Promise<void> {
    const those = waiting.splice(0, countTogether(waiting))
    isPlanned = false
    // What comes from now on takes the next turn.
    plan()
    const answer = await run(those)
    try {
      if (those.some(({ isOfAddresses }) => isOfAddresses)) forgetAddresses()
    } finally {
      answer()
    }
  }

  /** Returns what answers the callers. */
  async function run(those: readonly Waiting[]): Promise<() => void> {
    try {
      const answers = await answersOf(those)
      return () => {
        for (const [index, { resolve, reject }] of those.entries()) {
          const answer = answers[index]
          if (answer?.kind === 'done') resolve(answer.value)
          else if (answer) reject(failureHeard(answer))
        }
      }
    } catch (error) {
      return () => {
        for (const { reject } of those) reject(error)
      }
    }
  }

  async function answersOf(those: readonly Waiting[]): Promise<readonly WriteAnswer[]> {
    const calls = those.map(({ name, args }) => ({ name, args }))
    const [only] = calls
    if (only && calls.length === 1) return [{ kind: 'done', value: await writer.call(only.name, only.args) }]
    return writer.run('together', calls)
  }

  return (write) =>
    new Promise((resolve, reject) => {
      waiting.push({ ...write, resolve, reject })
      plan()
    })
}
