/** The arguments of `npm run bench -- against REV [bench…]`. */
export interface Ask {
  readonly kind: 'ask'
  readonly revision: string
  readonly benches: readonly SideName[]
  readonly rounds: number
}

export interface Refused {
  readonly kind: 'refused'
  /** Says what to do. */
  readonly message: string
}

const sideNames = ['relay', 'limits', 'users', 'stream', 'prompt', 'usage', 'admin', 'postgres'] as const
export type SideName = (typeof sideNames)[number]

const usual: readonly SideName[] = ['relay', 'limits', 'users']
const roundsUsual = 48
const usage = 'npm run bench -- against REV [bench…]'

export function readAsk(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Ask | Refused {
  const [revision, ...names] = args
  if (revision === undefined || isSideName(revision) || revision.startsWith('-'))
    return refused(`name the revision to measure against first: ${usage}, for example against HEAD~1 relay`)
  const unknown = names.filter((name) => !isSideName(name))
  if (unknown.length > 0)
    return refused(
      `there is no bench ${unknown.join(', ')} to run against ${revision}; there are ${sideNames.join(', ')}`,
    )
  const text = env.BENCH_ROUNDS ?? String(roundsUsual)
  const rounds = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (rounds === 0)
    return refused(`BENCH_ROUNDS takes a whole number from 1 to 9999, and not ${JSON.stringify(text)}`)
  const benches = names.length > 0 ? [...new Set(names.filter(isSideName))] : usual
  return { kind: 'ask', revision, benches, rounds }
}

function isSideName(name: string): name is SideName {
  return sideNames.some((known) => known === name)
}

const refused = (message: string): Refused => ({ kind: 'refused', message })
