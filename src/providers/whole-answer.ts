import { unitsOf } from '#core/usage.ts'
import type { StreamWords } from '#providers/stream/words.ts'
import { estimateText, hasPassed, nothingPassed } from './answer-estimate.ts'
import { type JsonRecord, parse, recordOf } from './figures.ts'
import type { AnswerReading, PassedUnits } from './provider.ts'
import { unitsOfText } from './text-units.ts'
import { readBodyUsage, type UsageMembers, type UsageReader } from './usage-reader.ts'

/** The form of one endpoint's whole answers. */
export interface AnswerGrammar {
  readonly createUsageReader: () => UsageReader
  readonly members?: UsageMembers
  /** Members that hold what the model wrote; undefined if an answer holds no text (embeddings). */
  readonly words?: StreamWords
}

/** Errors are short: a longer answer is not checked for one. */
export const errorBytesMax = 64 * 1024

/** Reads a whole answer. Its text is scanned only if it states no usage. */
export function readWholeAnswer(
  { createUsageReader, members, words }: AnswerGrammar,
  body: Buffer,
  bytes = body.length,
): AnswerReading {
  const reader = createUsageReader()
  readBodyUsage(body, reader, members)
  const [usage, extras] = [reader.usage(), reader.extras()]
  if (usage && usage.output + usage.reasoning > 0)
    return { usage, extras, passed: nothingPassed, isError: false }
  const passed = words ? estimateText(body, words) : nothingPassed
  // An embedding has only input.
  if (usage && unitsOf(usage) > 0) return { usage, extras, passed, isError: false }
  // Some servers without figures state zeros. A request for embeddings always has an input.
  const saysNothing = usage === undefined || !words || hasPassed(passed)
  const isWhole = bytes === body.length
  if (!hasPassed(passed) && isWhole && isErrorBody(body))
    return { usage: undefined, extras, passed: nothingPassed, isError: true }
  if (!saysNothing) return { usage, extras, passed: nothingPassed, isError: false }
  const estimated = words ? atLeast(passed, bytes, isWhole) : nothingPassed
  return { usage: undefined, extras, passed: estimated, isError: false }
}

/** If no text is found, or only a part was read, all bytes count as text. */
function atLeast(passed: PassedUnits, bytes: number, isWhole: boolean): PassedUnits {
  return isWhole && hasPassed(passed) ? passed : { output: unitsOfText(bytes, 0), reasoning: 0 }
}

/** Reads an answer that counts units: it is free, and its figures describe another request. */
export function readCounted(body: Buffer, bytes = body.length): AnswerReading {
  const isError = bytes === body.length && isErrorBody(body)
  return { usage: undefined, extras: undefined, passed: nothingPassed, isError }
}

/** Whether a body is only an error, in one of the formats that servers use. */
function isErrorBody(body: Buffer): boolean {
  if (body.length > errorBytesMax) return false
  const value = parse(body)
  const record = recordOf(Array.isArray(value) ? value[0] : value)
  if (!record) return false
  return (
    holdsError(record) ||
    record.object === 'error' ||
    record.type === 'error' ||
    haveFailed(record.choices) ||
    saysFailed(record)
  )
}

/**
 * Some vendors answer every error with 200. MiniMax puts its code beside an answer without choices, where 0 stands for
 * success; Z.ai says `success: false`.
 */
function saysFailed({ base_resp, success, choices }: JsonRecord): boolean {
  if (Array.isArray(choices) && choices.length > 0) return false
  const code = recordOf(base_resp)?.status_code
  return success === false || (typeof code === 'number' && code !== 0)
}

function holdsError({ error }: JsonRecord): boolean {
  return typeof error === 'string' ? error !== '' : typeof error === 'object' && error !== null
}

/** Whether the choices hold an error: a router puts the error of its provider into the choice, beside an empty message. */
function haveFailed(choices: unknown): boolean {
  if (!Array.isArray(choices) || choices.length === 0) return false
  return choices.every((choice) => holdsError(recordOf(choice) ?? {}))
}
