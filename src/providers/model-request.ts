import type { AdvisorAsked, AdvisorMost } from '#core/output-need.ts'
import type { Reading } from '#core/reading.ts'
import type { ModelsElsewhere } from './models-elsewhere.ts'

export type RequestReading = Reading<ModelRequest>

/** What the gateway has to know of a request that names a model. */
export interface ModelRequest {
  readonly model: string
  /** The name is a stand-in for a request without a model: any upstream of the protocol may serve it. */
  readonly isStandIn?: true
  readonly isStream: boolean
  /** The most output units that the request allows, over all its choices; undefined if it states no bound. */
  readonly output: number | undefined
  /** Number of answers asked for (`n`), at least 1. */
  readonly choices: number
  /** The smallest output bound that providers accept for this request; 1 if they accept any. */
  readonly leastCap: number
  /** The largest bound that they accept, if it is known and a bound has to be written. */
  readonly mostCap?: number
  /** Models that the request may reach beside its own. */
  readonly elsewhere?: ModelsElsewhere
  /** A tool that lets another model read the conversation and answer. */
  readonly advisor?: AdvisorAsked
  /** Whether the output can be bounded. If not, no cap is written into the body, and `output` is reserved as it is. */
  readonly hasOutput: boolean
  /** The stream would end without usage unless the gateway asks for it. */
  readonly lacksUsage: boolean
}

/** The request for an answer without output. */
export const noOutput: Omit<ModelRequest, 'model'> = {
  isStream: false,
  output: 0,
  choices: 1,
  leastCap: 1,
  hasOutput: false,
  lacksUsage: false,
}

/** What a request has to obey at the upstream it goes to. */
export interface RequestChanges {
  /** No answer may have more output than this, whatever the body says; absent without a limit. */
  readonly outputMost?: number | undefined
  /** The bounds of its advisor; absent without an advisor or a limit. */
  readonly advisorMost?: AdvisorMost | undefined
  /** The member that this upstream obeys as the bound, if the operator has configured it. */
  readonly outputCapMember?: string | undefined
  /** The largest bound that this upstream accepts, if the operator has configured it. */
  readonly outputCapMax?: number | undefined
  /** This upstream refuses unknown members. */
  readonly refusesUnknown?: boolean
  /** The upstream is the service that the protocol comes from, which refuses unknown members. */
  readonly isOfficial?: boolean
  /** Whether to ask a stream for its usage. */
  readonly addsUsage?: boolean
  /** This upstream refuses `stream_options`. */
  readonly refusesStreamOptions?: boolean
}

/** Replaces bytes `start` to `end` (exclusive) by `text`; `start === end` inserts. */
export interface BodyEdit {
  readonly start: number
  readonly end: number
  readonly text: string
  /** The bound of each answer's output that this edit writes. */
  readonly bound?: number
}
