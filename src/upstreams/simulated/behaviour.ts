/**
 * The behaviour that a request may ask of the simulated upstream, for one answer: in a header `x-simulate` (JSON, or
 * `key=value; key=value`), or at the end of the model's name after an `@` (`gpt-4o-mini@status=429,retry-after=2`). A
 * missing value means `true`. Unknown keys are ignored.
 */
export interface Behaviour {
  /** Answers with an error of this status. */
  readonly status?: number
  /** Seconds, beside an error. */
  readonly retryAfter?: number
  /** Before the answer's headers. */
  readonly delayMs: number
  /** Between two events of a stream. */
  readonly chunkMs: number
  /** Units of visible output; one event each. */
  readonly units?: number
  readonly cached: number
  readonly cacheWritten: number
  readonly reasoning: number
  /** States no usage anywhere. */
  readonly noUsage: boolean
  /** States usage so far in every chunk (the protocol that has chunks with choices). */
  readonly cumulativeUsage: boolean
  /** Bytes of each write to the connection; whole events where it is not given. */
  readonly split?: number
  /** Events in one write. */
  readonly merge: number
  readonly lineEnd: '\n' | '\r\n' | '\r'
  /** Puts comments between the events. */
  readonly comments: boolean
  /** Ends the connection after this many units. */
  readonly cutAfter?: number
  /** Falls silent after this many units, and keeps the connection open. */
  readonly hangAfter?: number
  /** Never answers at all. */
  readonly hang: boolean
  /** Answers text that is not JSON, with status 200. */
  readonly badJson: boolean
  readonly gzip: boolean
}

export const defaultBehaviour: Behaviour = {
  delayMs: 0,
  chunkMs: 15,
  cached: 0,
  cacheWritten: 0,
  reasoning: 0,
  noUsage: false,
  cumulativeUsage: false,
  merge: 1,
  lineEnd: '\n',
  comments: false,
  hang: false,
  badJson: false,
  gzip: false,
}

const lineEnds = { lf: '\n', crlf: '\r\n', cr: '\r' } as const
const numbers = {
  status: 'status',
  'retry-after': 'retryAfter',
  delay: 'delayMs',
  'chunk-delay': 'chunkMs',
  units: 'units',
  cached: 'cached',
  'cache-written': 'cacheWritten',
  reasoning: 'reasoning',
  split: 'split',
  merge: 'merge',
  'cut-after': 'cutAfter',
  'hang-after': 'hangAfter',
} as const
/**
 * Bounds of values that could harm this process: a timer's length, the length of a list, a status that cannot be sent.
 */
const most: Readonly<Record<string, number>> = {
  status: 599,
  delay: 2_147_483_647,
  'chunk-delay': 2_147_483_647,
  units: 1_000_000,
}
const switches = {
  'no-usage': 'noUsage',
  'cumulative-usage': 'cumulativeUsage',
  comments: 'comments',
  hang: 'hang',
  'bad-json': 'badJson',
  gzip: 'gzip',
} as const

/** @param base the defaults */
export function readBehaviour(model: string, header: string | undefined, base: Behaviour): Behaviour {
  const suffix = model.indexOf('@')
  if (suffix < 0 && header === undefined) return base
  const asked = { ...(suffix >= 0 && pairsOf(model.slice(suffix + 1))), ...pairsOf(header ?? '') }
  const behaviour: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(asked)) {
    if (Object.hasOwn(numbers, key)) {
      const number = Number(value)
      if (Number.isFinite(number) && number >= 0)
        behaviour[numbers[key as keyof typeof numbers]] = Math.min(number, most[key] ?? number)
    } else if (Object.hasOwn(switches, key)) {
      behaviour[switches[key as keyof typeof switches]] = value === true || value === 'true' || value === 1
    } else if (key === 'eol' && Object.hasOwn(lineEnds, String(value))) {
      behaviour.lineEnd = lineEnds[value as keyof typeof lineEnds]
    }
  }
  // Every key above came from this type's own tables.
  return behaviour as unknown as Behaviour
}

function pairsOf(text: string): Readonly<Record<string, unknown>> {
  if (text.trim().startsWith('{')) {
    try {
      return JSON.parse(text) as Record<string, unknown>
    } catch {
      return {}
    }
  }
  const pairs = text
    .split(/[;,]/)
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value] = pair.split('=', 2)
      return [key.trim(), value === undefined ? true : value.trim()]
    }),
  )
}
