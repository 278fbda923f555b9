import { codingNameOf, toCoding } from '#lib/content-coding.ts'
import type { OperatorRefusal } from '#providers/operator-refusal.ts'
import type { StreamMeter, StreamOptions, UpstreamEndpoint } from '#providers/provider.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import type { Figures } from './charge.ts'
import { type CodedAnswer, type OpenedCoded, openCoded } from './coded-answer.ts'
import { figuresOfStream, WholeAnswerReader } from './whole-answer-reader.ts'

/** Reads one answer as it passes, to know its usage at its end. */
export interface AnswerReader {
  readonly isStream: boolean
  /** Whether the client can read an event that the gateway adds at the end. */
  readonly takesEvents: boolean
  /** Takes the next bytes and returns those to send on. */
  readonly push: (chunk: Buffer) => Buffer
  /** Bytes still held back when the answer has ended. */
  readonly end: () => Buffer
  /** Set if the answer came compressed: its chunks go there first, and what is pushed here are decoded pieces. */
  readonly coded: CodedAnswer | undefined
  readonly figures: () => Figures
  /** Whether a stream has stated its last figures, if nothing more comes; never true of a whole answer before its end. */
  readonly isComplete: () => boolean
  /** Whether nothing can come any more that changes the figures. */
  readonly isOver: () => boolean
  /** Whether the answer is known to be more than an error; of a whole answer this is known at its end. */
  readonly hasBegun: () => boolean
  readonly isError: () => boolean
  /** Set if a stream holds an error about the operator's account. Neither this error passes, nor what comes after it. */
  readonly refusal: () => OperatorRefusal | undefined
  /** The decoded body, if a whole answer is an error. */
  readonly wholeError: () => Buffer | undefined
  /** The decoded body of a whole answer that is as short as errors are. */
  readonly shortBody: () => Buffer | undefined
  readonly close: () => void
}

/** The most of a compressed answer that is decoded, some seconds of another thread's work; its start and end are kept. */
const decodedBytesMax = 1024 * 1024 * 1024

interface ReaderOptions extends StreamOptions {
  /** The client's stream was begun without a coding, so that a compressed one has to be decoded. */
  readonly isBegun?: boolean
}

/** Whether an answer is a stream in a coding that is not decoded here: what it holds would pass unread. */
export function isUnreadable(headers: AnswerHeaders): boolean {
  const coding = codingNameOf(headers['content-encoding'])
  return coding !== '' && toCoding(coding) === undefined && isStreamOf(headers)
}

function isStreamOf(headers: AnswerHeaders): boolean {
  return wordOf(headers['content-type']) === 'text/event-stream'
}

/** @param options how to read a stream */
export function openAnswerReader(
  endpoint: UpstreamEndpoint,
  headers: AnswerHeaders,
  options: ReaderOptions,
): AnswerReader {
  const isStream = isStreamOf(headers)
  const reader = openReader(endpoint, isStream, options)
  const coding = codingNameOf(headers['content-encoding'])
  if (coding === '') return reader
  const isSentDecoded = isStream && (options.withholdsUsage || options.isBegun === true)
  const bytesMax = isStream ? Number.POSITIVE_INFINITY : decodedBytesMax
  const opened = openCoded(coding, reader, { isSentDecoded, bytesMax })
  return opened ? readCoded(reader, opened) : reader
}

/** Reads the decoded pieces of an answer. */
function readCoded(reader: AnswerReader, { pieces, coded }: OpenedCoded): AnswerReader {
  return {
    isStream: reader.isStream,
    takesEvents: coded.isSentDecoded,
    push: pieces.push,
    end: pieces.end,
    coded,
    isComplete: () => reader.isComplete(),
    isOver: () => reader.isOver(),
    hasBegun: () => reader.hasBegun(),
    isError: () => reader.isError(),
    refusal: () => reader.refusal(),
    wholeError: () => reader.wholeError(),
    shortBody: () => reader.shortBody(),
    figures: () => reader.figures(),
    close: coded.destroy,
  }
}

/** A header's first word without its parameters; media types and codings are the same in any case (RFC 9110). */
function wordOf(value: string | string[] | undefined): string {
  const first = Array.isArray(value) ? value[0] : value
  if (first === undefined || first === 'application/json') return first ?? ''
  return (first ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function openReader(endpoint: UpstreamEndpoint, isStream: boolean, options: StreamOptions): AnswerReader {
  return isStream
    ? readStream(endpoint.openStream(options), options)
    : new WholeAnswerReader(endpoint, options)
}

function readStream(meter: StreamMeter, options: StreamOptions): AnswerReader {
  return {
    isStream: true,
    takesEvents: true,
    push: meter.push,
    end: meter.end,
    coded: undefined,
    isComplete: meter.isComplete,
    isOver: meter.isOver,
    hasBegun: meter.hasBegun,
    isError: meter.isError,
    refusal: meter.refusal,
    wholeError: () => undefined,
    shortBody: () => undefined,
    figures: () => figuresOfStream(meter, options),
    close: () => {},
  }
}
