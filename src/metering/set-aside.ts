import { mkdir, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settlement } from '#core/settlement.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import { createLane } from '#lib/lane.ts'
import { appendLines, openLines } from './durable-lines.ts'

/**
 * Settlements and events that the store cannot book although it works. They are kept in a file beside the journal, one
 * line of JSON each, so that they are not lost and block no other request. Every start tries to book them again. The
 * lines hold figures and ids, no secret.
 */
export interface SetAside {
  /** Resolves when the line is on the disk, and rejects where it is not, as on a full one. */
  readonly add: (kept: Kept, why: unknown) => Promise<void>
}

export type Kept =
  | { readonly settlement: Settlement }
  | { readonly event: UsageEvent }
  /** A line of a journal that is not a settlement. */
  | { readonly line: string }

const prefix = 'set-aside-'
const suffix = '.jsonl'

export function setAsidePathIn(folder: string, instance: string): string {
  return join(folder, `${prefix}${instance}${suffix}`)
}

/** The file and its folder are created with the first line. */
export function openSetAside(folder: string, instance: string, clock: () => number): SetAside {
  const path = setAsidePathIn(folder, instance)
  const lane = createLane()
  return {
    add: (kept, why) =>
      lane.run(async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        // The file is opened for each line, since a start that tries again renames it.
        const file = await openLines(path)
        try {
          await appendLines(file, [JSON.stringify({ at: clock(), why: reasonOf(why), ...kept })])
        } finally {
          await file.close()
        }
      }),
  }
}

/** The request id by which an operator finds it in the log. */
export function idOf(kept: Kept): string {
  if ('settlement' in kept) return kept.settlement.requestId
  return 'event' in kept ? kept.event.requestId : ''
}

function reasonOf(why: unknown): string {
  if (!(why instanceof Error)) return String(why)
  return why.cause instanceof Error ? why.cause.message : why.message
}

/**
 * Takes every file that was set aside, by any process, for another try. The lines stay in a renamed file until `done`
 * removes it. A try that was not finished is made again by the next start, which does no harm.
 */
export async function takeSetAside(
  folder: string,
  instance: string,
): Promise<readonly { readonly kept: readonly Kept[]; readonly done: () => Promise<void> }[]> {
  const names = (await readdir(folder).catch(() => [])).filter(
    (name) => name.startsWith(prefix) && name.endsWith(suffix),
  )
  return Promise.all(
    names.map(async (name, index) => {
      const path = join(folder, `${prefix}again-${instance}-${index}${suffix}`)
      await rename(join(folder, name), path)
      const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '')
      return { kept: lines.map(parseKept), done: () => unlink(path) }
    }),
  )
}

function parseKept(line: string): Kept {
  try {
    const { settlement, event, line: text } = JSON.parse(line)
    if (typeof text === 'string') return { line: text }
    if (typeof event === 'object' && event !== null) return { event }
    if (typeof settlement === 'object' && settlement !== null) return { settlement }
  } catch {
    // The line was cut off while it was written.
  }
  return { line }
}
