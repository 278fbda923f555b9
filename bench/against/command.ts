import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readAsk } from './ask.ts'
import { compareTurns } from './ratio.ts'
import { reportComparisons } from './report.ts'
import { checkOut, describeTree, findRevision } from './revision.ts'
import { takeTurns } from './turns.ts'

/**
 * `npm run bench -- against REV [bench…]`: the bench code of this tree over its own sources and over those of REV, one
 * short round of each in turns, so that both are measured on the same machine in the same minute.
 *
 * @returns the exit code: 0 where every bar is met, 1 where one is not, 2 where the arguments are wrong
 */
export async function runAgainst(args: readonly string[]): Promise<number> {
  const tree = join(import.meta.dirname, '..', '..')
  const ask = readAsk(args, process.env)
  const revision = ask.kind === 'refused' ? ask : findRevision(tree, ask.revision)
  if (ask.kind === 'refused' || revision.kind === 'refused') {
    console.error(revision.kind === 'refused' ? revision.message : '')
    return 2
  }
  console.error(`this tree (${describeTree(tree)}) against ${revision.short}`)
  return inFolder(async (folder, signal) => {
    const theirs = join(folder, 'revision')
    checkOut(tree, revision, theirs, (line) => console.error(`  ${revision.short}: ${line}`))
    let isKept = true
    for (const bench of ask.benches) {
      const title = `${bench}: this tree against ${revision.short}, ${ask.rounds} rounds in turns`
      try {
        const turns = await takeTurns(bench, { ours: tree, theirs, rounds: ask.rounds, folder, signal })
        isKept = reportComparisons(title, compareTurns(turns)) && isKept
      } catch (error) {
        signal.throwIfAborted()
        isKept = false
        console.log(`\n${title}\n  NO  ${whyNot(error, revision.short)}`)
      }
    }
    return isKept ? 0 : 1
  })
}

function whyNot(error: unknown, revision: string): string {
  const said = error instanceof Error ? error.message : String(error)
  return (
    `not measured: ${said}\n      Where the sources of ${revision} do not fit this tree's bench code, compare with a ` +
    'later revision, or let the bench code take both.'
  )
}

/** Runs work with a temporary folder that is deleted afterwards, also at Ctrl-C. */
async function inFolder(run: (folder: string, signal: AbortSignal) => Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-against-'))
  const end = new AbortController()
  const stop = () => end.abort(new Error('stopped'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    return await run(folder, end.signal)
  } catch (error) {
    if (!end.signal.aborted) throw error
    console.error('stopped')
    return 130
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}
