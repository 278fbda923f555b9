import type { Usage } from '#core/usage.ts'
import type { Behaviour } from './behaviour.ts'
import { answerTo, countInput } from './text.ts'

/** The content of an answer, before a protocol renders it. */
export interface Answer {
  /** The request's number, from which ids are made. */
  readonly serial: number
  /** The model's name in the request. */
  readonly model: string
  readonly createdAt: number
  readonly behaviour: Behaviour
  /** Visible output of each choice, one unit a piece. */
  readonly pieces: readonly string[]
  /** The output was cut by the request's own bound. */
  readonly isCapped: boolean
  readonly choices: number
  /** Its usage when it is complete, over all choices. */
  readonly usage: Usage
}

/** One event of a stream. */
export interface AnswerEvent {
  readonly name?: string
  readonly data: string
  /** Units of visible output in it. */
  readonly units: number
  /** The usage that the caller knows once it has this; absent where it states none. */
  readonly usage?: Usage | undefined
}

/** One operation of a protocol, as its provider's servers do it. */
export interface Operation {
  readonly question: (request: RequestBody) => Question
  readonly body: (answer: Answer, request: RequestBody) => unknown
  /** Undefined for operations without streams. */
  readonly events: ((answer: Answer, request: RequestBody) => Iterable<AnswerEvent>) | undefined
  readonly hasOutput: boolean
  /** The operation costs nothing. */
  readonly isFree?: boolean
  readonly renderError: (status: number, message: string) => string
}

interface Question {
  /** The model's input. */
  readonly text: string
  /** Its last message, where it is a list of them; coding agents send pages of instructions before it. */
  readonly asked?: string
  /** The most output of each choice. */
  readonly outputMax: number | undefined
  readonly choices?: number
}

/** A request's JSON; its members are checked where they are read. */
export type RequestBody = Readonly<Record<string, unknown>>

export function createAnswer(
  operation: Operation,
  request: RequestBody,
  behaviour: Behaviour,
  {
    serial,
    model,
    createdAt,
  }: { readonly serial: number; readonly model: string; readonly createdAt: number },
): Answer {
  const { text, asked, outputMax, choices = 1 } = operation.question(request)
  const wanted = operation.hasOutput ? answerTo(text, asked ?? text, behaviour.units) : []
  const reasoning = Math.min(behaviour.reasoning, outputMax ?? behaviour.reasoning)
  const pieces = outputMax === undefined ? wanted : wanted.slice(0, outputMax - reasoning)
  const input = countInput(text)
  const cacheRead = Math.min(input, behaviour.cached)
  const cacheWritten = Math.min(input - cacheRead, behaviour.cacheWritten)
  const usage: Usage = {
    input: input - cacheRead - cacheWritten,
    cacheRead,
    cacheWritten,
    output: pieces.length * choices,
    reasoning: operation.hasOutput ? reasoning * choices : 0,
  }
  const isCapped = pieces.length < wanted.length
  return { serial, model, createdAt, behaviour, pieces, isCapped, choices, usage }
}

/** All text in a value of any shape: strings under `content`, `text` and the like, in order. */
export function textIn(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return 'unit'
  if (Array.isArray(value))
    return value
      .map(textIn)
      .filter((text) => text !== '')
      .join(' ')
  if (typeof value !== 'object' || value === null) return ''
  const { content, text, input } = value as Record<string, unknown>
  return textIn(content ?? text ?? input)
}

/** The text of the last message that has any. */
export function lastTextIn(messages: unknown): string {
  if (!Array.isArray(messages)) return textIn(messages)
  return textIn(messages.findLast((message) => textIn(message) !== ''))
}

export function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
