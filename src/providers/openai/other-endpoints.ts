import type { Usage } from '#core/usage.ts'
import { noUsage } from '#core/usage.ts'
import { findLastMember } from '#lib/json-members.ts'
import { nothingPassed } from '#providers/answer-estimate.ts'
import { figureOf, parseRecord, recordOf } from '#providers/figures.ts'
import type { AnswerReading, Endpoint, StreamOptions } from '#providers/provider.ts'
import { openStreamMeter } from '#providers/stream/meter.ts'
import type { StreamGrammar } from '#providers/stream/stream-notes.ts'
import { readPassed } from '#providers/unbounded-request.ts'
import { readCounted, readWholeAnswer } from '#providers/whole-answer.ts'
import { readCompaction, readImages, readPlain, readSpeech } from './other-requests.ts'
import { optionEdits } from './request.ts'
import { answerWords, chatStream, responsesStream } from './stream.ts'
import { createUsageReader } from './usage.ts'

/** The last event of an image or of a speech has the usage at its top level. */
const finalEventStream: StreamGrammar = {
  words: { text: [], reasoning: [], usageIn: [''] },
  createUsageReader,
  isFinal: ({ hasTopUsage }) => hasTopUsage,
  isOver: () => false,
}

const openBrace = 0x7b
const nothingStated: AnswerReading = {
  usage: undefined,
  extras: undefined,
  passed: nothingPassed,
  isError: false,
}

/** An answer may be sound or plain text; usage is not searched for there. */
function readStated(body: Buffer, bytes = body.length): AnswerReading {
  // Of a long answer only the end was kept; usage at the end of an object is still found there.
  if (bytes === body.length && firstByte(body) !== openBrace) return nothingStated
  const reading = readWholeAnswer({ createUsageReader }, body, bytes)
  return reading.usage || reading.isError ? reading : { ...reading, usage: readBilled(body) }
}

/** Some reranking services state usage as `"meta": {"billed_units": {"input_tokens": 5}}`. */
function readBilled(body: Buffer): Usage | undefined {
  const member = findLastMember(body, 'meta')
  const meta = member && parseRecord(body.subarray(member.start, member.end))
  const billed = recordOf(meta?.billed_units)
  const input = figureOf(billed, 'input_tokens') ?? figureOf(billed, 'total_tokens')
  return input === undefined ? undefined : { ...noUsage, input }
}

function firstByte(body: Buffer): number | undefined {
  return body.subarray(0, 64).find((byte) => byte > 0x20)
}

/** An answer without figures is estimated by its text, so that it is not free by accident. */
export function passedEndpoint(path: string): Endpoint {
  return {
    path,
    upstreamPath: path.replace(/^\/v1/, ''),
    isMetered: true,
    readRequest: readPassed,
    formFields: soundForm,
    editsFor: optionEdits,
    readAnswer: (body, bytes) => readWholeAnswer({ createUsageReader, words: answerWords }, body, bytes),
    openStream: (options) => openStreamMeter(chatStream, { ...options, withholdsUsage: false }),
  }
}

const shared = {
  isMetered: true,
  isByRequest: true,
  editsFor: optionEdits,
  readAnswer: readStated,
  openStream: (options: StreamOptions) =>
    openStreamMeter(finalEventStream, { ...options, withholdsUsage: false }),
} satisfies Partial<Endpoint>

const imageForm = ['model', 'n', 'stream']
const soundForm = ['model', 'stream']

/** The endpoints of this protocol for other content than texts and vectors. */
export const otherEndpoints: readonly Endpoint[] = [
  {
    ...shared,
    path: '/v1/responses/compact',
    upstreamPath: '/responses/compact',
    isByRequest: false,
    readRequest: readCompaction,
    openStream: (options) => openStreamMeter(responsesStream, { ...options, withholdsUsage: false }),
  },
  {
    ...shared,
    path: '/v1/responses/input_tokens',
    upstreamPath: '/responses/input_tokens',
    isMetered: false,
    readRequest: readPlain,
    readAnswer: readCounted,
  },
  {
    ...shared,
    path: '/v1/images/generations',
    upstreamPath: '/images/generations',
    readRequest: readImages,
  },
  {
    ...shared,
    path: '/v1/images/edits',
    upstreamPath: '/images/edits',
    readRequest: readImages,
    formFields: imageForm,
  },
  {
    ...shared,
    path: '/v1/images/variations',
    upstreamPath: '/images/variations',
    readRequest: readImages,
    formFields: imageForm,
  },
  { ...shared, path: '/v1/audio/speech', upstreamPath: '/audio/speech', readRequest: readSpeech },
  {
    ...shared,
    path: '/v1/audio/transcriptions',
    upstreamPath: '/audio/transcriptions',
    readRequest: readSpeech,
    formFields: soundForm,
  },
  {
    ...shared,
    path: '/v1/audio/translations',
    upstreamPath: '/audio/translations',
    readRequest: readSpeech,
    formFields: soundForm,
  },
  { ...shared, path: '/v1/moderations', upstreamPath: '/moderations', readRequest: readPlain },
  { ...shared, path: '/v1/rerank', upstreamPath: '/rerank', readRequest: readPlain },
]
