import type { QuotaView, RateView } from '#core/admission.ts'
import type { Problem } from '#core/errors.ts'
import type { AdvisorAsked, AdvisorMost } from '#core/output-need.ts'
import type { Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import type { ModelsElsewhere } from './models-elsewhere.ts'
import type { OperatorRefusal } from './operator-refusal.ts'
import type { PassedMethod } from './passed-route.ts'

/**
 * The seam that every wire protocol fills: one folder each, the same files in each (request, usage, stream,
 * errors), gathered in its `provider`. All of it is pure; the gateway asks these objects what
 * they can do and never which one they are.
 */
export interface Provider extends ProblemWords {
  readonly name: string
  /** Base address of the service this protocol comes from, for an upstream that states none. */
  readonly publicBaseUrl: string
  /** Whether a host is that service, and so obeys and refuses what its reference says. */
  readonly isOfficialHost: (hostname: string) => boolean
  /** Services and local servers that speak it. */
  readonly presets: readonly Preset[]
  /** What this protocol's clients call. */
  readonly endpoints: readonly Endpoint[]
  /** One that is none of them, for an operator who lets it through: its model and its figures are where others have them. */
  readonly passedEndpoint: (path: string) => Endpoint
  /** Headers that carry an upstream's credential. */
  readonly credentialHeaders: (apiKey: string) => Readonly<Record<string, string>>
  /** Headers that the protocol requires, sent where the client sent none of that name: its own win. */
  readonly defaultHeaders: Readonly<Record<string, string>>
  /** Whether a request with these headers speaks this protocol, for paths that two of them share. */
  readonly claims: (headers: Readonly<Record<string, unknown>>) => boolean
  /** Under which header this protocol's clients look for a request's id. */
  readonly requestIdHeader: string
  /** This protocol's rate-limit headers, so that its clients know where they stand. */
  readonly limitHeaders: (limits: LimitsView, now: number) => Readonly<Record<string, string>>
  /** Headers of a request that go to an upstream, and of an answer that go to the client; `x-*` for all that begin so. */
  readonly requestHeaders: readonly string[]
  readonly answerHeaders: readonly string[]
  /** The list that `GET /v1/models` answers, and one of its elements. */
  readonly renderModelList: (models: readonly ListedModel[]) => string
  readonly renderModel: (model: ListedModel) => string
}

/**
 * What is known of a service or a local server, so that an operator need not look it up: where it is, what it obeys, and
 * the variables of the environment that add it without any file.
 */
export interface Preset {
  readonly name: string
  /** Name of the protocol. */
  readonly provider: string
  /** Absent where each account has its own address. */
  readonly baseUrl?: string
  /** `…_API_KEY` and `…_BASE_URL` add an upstream. */
  readonly variable: string
  /** Runs on a machine of the operator's: needs no key, and its address alone adds it. */
  readonly isLocal?: true
  /** Of one that runs on a machine of the operator's: the service of its maker, which a key alone stands for. */
  readonly hostedUrl?: string
  /** The models of its maker, for where the environment names several services. */
  readonly models: readonly string[]
  readonly settings: {
    readonly apiKeyHeader?: string
    readonly outputCapMember?: string
    readonly outputCapMax?: number
    readonly refusesUnknown?: boolean
    readonly streamOptions?: 'ask' | 'never'
    readonly headersTimeoutMs?: number
    readonly idleTimeoutMs?: number
  }
}

/** How much of a stream's beginning is kept for its end. */
export const openingBytesMax = 1024

/** How a refusal or failure is put for clients. */
export interface ProblemWords {
  /** In their own shape (JSON text). The status is `errorTable`'s. */
  readonly renderProblem: (problem: Problem, requestId: string) => string
  /**
   * What ends a running stream when it has to be cut: events that these clients raise as an error. `opening` is what
   * the stream began with, at most `openingBytesMax`.
   */
  readonly renderStreamProblem: (problem: Problem, requestId: string, opening: Buffer) => string
}

export interface LimitsView {
  readonly quota: QuotaView | undefined
  readonly rate: RateView | undefined
}

export interface ListedModel {
  readonly id: string
  /** What the upstream itself said of it, where it was asked. */
  readonly source?: Readonly<Record<string, unknown>>
}

/** One operation of a protocol. */
export interface Endpoint {
  /** Path on the gateway, e.g. `/v1/chat/completions`. */
  readonly path: string
  /** Absent: POST. */
  readonly method?: PassedMethod
  /** Nothing is read of a request's body, and none is sent on. */
  readonly hasNoBody?: true
  /** Path below an upstream's base address, e.g. `/chat/completions`. */
  readonly upstreamPath: string
  /** Where this operation's clients read problems in another shape than the protocol's. */
  readonly problems?: ProblemWords
  /** False for what costs nothing (counting): admitted and recorded, but nothing is reserved or charged. */
  readonly isMetered: boolean
  /** Where the provider states no figure a request counts as one, with no units; absent: what came is estimated. */
  readonly isByRequest?: boolean
  /** Fields of a form that are read as members of the same names are; absent where it takes no form. */
  readonly formFields?: readonly string[]
  /** A member that may stand for the model: what the provider keeps under it names one. */
  readonly modelMayBeIn?: string
  /** As what a request counts that names no model; absent where each has to name one. */
  readonly withoutModel?: Endpoint
  /** What is asked where no request of this operation names a model. */
  readonly standIn?: ModelRequest
  /** Name of the one upstream that it goes to; absent: whichever serves the model. */
  readonly upstream?: string
  /** Reads what the gateway has to know from the body's top-level members. */
  readonly readRequest: (body: Buffer, members: JsonMembers) => RequestReading
  /** What has to be changed in the body before it is sent on; none where nothing has to. */
  readonly editsFor: (body: Buffer, members: JsonMembers, changes: RequestChanges) => readonly BodyEdit[]
  /**
   * Reads a whole answer's body (decoded). Of a long one only the end may be given.
   *
   * @param bytes how many there were, where that is more
   */
  readonly readAnswer: (body: Buffer, bytes?: number) => AnswerReading
  /** Follows one streamed answer. */
  readonly openStream: (options: StreamOptions) => StreamMeter
}

export interface StreamOptions {
  /** Takes the event of usage out again that the gateway asked for. */
  readonly withholdsUsage: boolean
  /** How many answers the stream may hold (`n`); any number where that is not said. */
  readonly answers?: number
  /** Reads which models the answer says that it is of: the request may have led to others than its own. */
  readonly namesModels?: boolean
}

/** What an answer says of itself, as far as it was read. */
export interface AnswerReading {
  /** The provider's own figures; undefined where it states none. */
  readonly usage: Usage | undefined
  readonly extras: UsageExtras | undefined
  readonly passed: PassedUnits
  /** It is an error and nothing else, in spite of its status. */
  readonly isError: boolean
}

/** Which models an answer says that its usage is of. */
export interface AnswerModels {
  /** The one that answered; undefined where that is not said. */
  readonly answered: string | undefined
  /** What others used on the way. It is within the answer's usage. */
  readonly beside: readonly { readonly model: string; readonly usage: Usage }[]
}

/** Units of what was written, estimated from its bytes. Reasoning counts as far as it was shown. */
export interface PassedUnits {
  readonly output: number
  readonly reasoning: number
}

export type RequestReading =
  | { readonly kind: 'read'; readonly request: ModelRequest }
  | { readonly kind: 'refused'; readonly problem: Problem }

export interface ModelRequest {
  readonly model: string
  /** The name stands for a request that names no model: any upstream of the protocol may take it. */
  readonly isStandIn?: true
  readonly isStream: boolean
  /** The most output units the request allows, over all its choices; undefined where it does not say. */
  readonly output: number | undefined
  /** Number of answers asked for (`n`), at least 1. */
  readonly choices: number
  /** The smallest bound of an answer that providers take for this request; 1 where any will do. */
  readonly leastCap: number
  /** The largest that they take, where one has to be written and it is known. */
  readonly mostCap?: number
  /** Models that the request may reach beside its own. */
  readonly elsewhere?: ModelsElsewhere
  /** A tool that has another model read the conversation and answer. */
  readonly advisor?: AdvisorAsked
  /** The answer has no output that could be bound: no cap may be written in, and `output` is held as it is. */
  readonly hasOutput: boolean
  /** The stream would end without usage unless the gateway asks for it. */
  readonly lacksUsage: boolean
}

/** What is asked where an answer has no output. */
export const noOutput: Omit<ModelRequest, 'model'> = {
  isStream: false,
  output: 0,
  choices: 1,
  leastCap: 1,
  hasOutput: false,
  lacksUsage: false,
}

export interface RequestChanges {
  /** No answer may have more output than this, whatever the body says; absent where no limit holds. */
  readonly outputMost?: number
  /** The bounds that its advisor has to keep; absent where it has none or no limit holds. */
  readonly advisorMost?: AdvisorMost
  /** Name of the member that bounds it, where the operator knows which one this upstream obeys. */
  readonly outputCapMember?: string
  /** The largest bound that this upstream takes, where the operator knows it. */
  readonly outputCapMax?: number
  /** This upstream refuses members that it does not know. */
  readonly refusesUnknown?: boolean
  /** It goes to the service that the protocol comes from, which refuses what it does not know. */
  readonly isOfficial?: boolean
  /** Asks a stream for its usage. */
  readonly addsUsage?: boolean
}

/** Replaces bytes `start` to `end` (exclusive) by `text`; `start === end` inserts. */
export interface BodyEdit {
  readonly start: number
  readonly end: number
  readonly text: string
  /** The bound of each answer's output that it writes. */
  readonly bound?: number
}

/** Follows a stream as it passes, without taking it apart event by event. */
export interface StreamMeter {
  /**
   * Takes the next bytes from the upstream and returns those to send on. That is the same buffer, unless the
   * usage chunk that the gateway asked for has to be taken out again, or an error has what is the operator's.
   */
  readonly push: (chunk: Buffer) => Buffer
  /** Bytes still held back when the upstream ends. */
  readonly end: () => Buffer
  /** The provider's own figures so far (the last word where they are cumulative). */
  readonly usage: () => Usage | undefined
  readonly extras: () => UsageExtras | undefined
  /** Says something only where `namesModels` asked for it. */
  readonly models: () => AnswerModels
  /** Whether the figures are final, should nothing more come, so that nothing has to be estimated. */
  readonly isComplete: () => boolean
  /** Whether nothing more comes that could change them. */
  readonly isOver: () => boolean
  /** Whether an event has come that is more than a comment. */
  readonly hasBegun: () => boolean
  /** Whether all that came is an error. */
  readonly isError: () => boolean
  /** An error came that speaks of the operator's account: nothing passes from there on. */
  readonly refusal: () => OperatorRefusal | undefined
  readonly passed: () => PassedUnits
}
