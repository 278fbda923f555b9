import type { QuotaView, RateView } from '#core/admission.ts'
import type { Problem } from '#core/errors.ts'
import type { Usage } from '#core/usage.ts'
import type { UsageExtras } from '#core/usage-extras.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import type { Hide } from './hidden.ts'
import type { BodyEdit, ModelRequest, RequestChanges, RequestReading } from './model-request.ts'
import type { OperatorRefusal } from './operator-refusal.ts'
import type { PassedMethod } from './passed-route.ts'
import type { PersonMembers } from './person-members.ts'
import type { Preset } from './preset.ts'

/**
 * The interface that every wire protocol implements: one folder each with the same files (request, usage, stream,
 * errors), gathered in its `provider`. All of it is pure. The gateway asks these objects what they can do, and never
 * which protocol they are.
 */
export interface Provider extends ProblemWords {
  readonly name: string
  /** Base address of the service that this protocol comes from, for an upstream without an address. */
  readonly publicBaseUrl: string
  /** Whether a host is that service, and so behaves as its reference says. */
  readonly isOfficialHost: (hostname: string) => boolean
  /** Services and local servers that speak this protocol. */
  readonly presets: readonly Preset[]
  /** What every path of this protocol on the gateway begins with, e.g. `/v1`. */
  readonly pathPrefix: string
  /** The operations that this protocol's clients call. */
  readonly endpoints: readonly Endpoint[]
  /** How the members of its requests count as input. */
  readonly inputMembers: InputMembers
  /** The members of its requests that name the person behind them. */
  readonly personMembers: PersonMembers
  /**
   * An endpoint for a route that the operator passes through; its model and its usage are read as in the known endpoints.
   */
  readonly passedEndpoint: (path: string) => Endpoint
  /** Headers that carry an upstream's credential. */
  readonly credentialHeaders: (apiKey: string) => Readonly<Record<string, string>>
  /**
   * Headers, in lower case, in which clients send their access token, besides `Authorization: Bearer`. A request with an
   * access token in several of them counts as one of the first.
   */
  readonly accessTokenHeaders: readonly string[]
  /**
   * Further headers, in lower case, in which services of this protocol take a credential. Like both kinds above they never
   * pass the gateway, in any protocol.
   */
  readonly privateHeaders: readonly string[]
  /** Headers that the protocol requires. Each is added unless the client sent a header of that name. */
  readonly defaultHeaders: Readonly<Record<string, string>>
  /** Whether a request with these headers speaks this protocol, for paths that two of them share. */
  readonly claims: (headers: Readonly<Record<string, unknown>>) => boolean
  /** The header in which this protocol's clients expect a request's id. */
  readonly requestIdHeader: string
  /** This protocol's rate-limit headers, from which clients learn their limits. */
  readonly limitHeaders: (limits: LimitsView, now: number) => Readonly<Record<string, string>>
  /**
   * Headers of a request that go to an upstream, and of an answer that go to the client; `x-*` stands for all names that
   * begin so.
   */
  readonly requestHeaders: readonly string[]
  readonly answerHeaders: readonly string[]
  /** Path of the list of models on the gateway; each model is below it. Protocols may share the path. */
  readonly modelsPath: string
  /** The same below an upstream's base address, and a query that asks for a large page. */
  readonly upstreamModelsPath: string
  readonly modelsQuery: string
  /** The models in an upstream's list; undefined if the answer is not such a list. */
  readonly readModelList: (answer: unknown) => readonly ListedModel[] | undefined
  /** The list that the gateway answers, and one of its elements. */
  readonly renderModelList: (models: readonly ListedModel[]) => string
  readonly renderModel: (model: ListedModel) => string
}

/** Members of a request's body, at its top level, that do not simply hold text for the model. */
export interface InputMembers {
  /** Members that the model does not read. */
  readonly unread: ReadonlySet<string>
  /** Members that name something which the provider holds, and which the model reads as well: an earlier answer, a cache. */
  readonly namesMore: ReadonlySet<string>
  /** Whether the protocol defines a part of type `compaction` that replaces the messages before it. */
  readonly readsCompactions?: boolean
}

/** How many bytes of a stream's beginning are kept for an error at its end. */
export const openingBytesMax = 1024

/** The format in which clients read refusals and failures. */
export interface ProblemWords {
  /** The problem as JSON text. Its status is that of `errorTable`. */
  readonly renderProblem: (problem: Problem, requestId: string) => string
  /**
   * The events that end a stream which is cut; clients raise them as an error. `opening` is the beginning of the stream,
   * at most `openingBytesMax`.
   */
  readonly renderStreamProblem: (problem: Problem, requestId: string, opening: Buffer) => string
}

export interface LimitsView {
  readonly quota: QuotaView | undefined
  readonly rate: RateView | undefined
}

export interface ListedModel {
  readonly id: string
  /** What the upstream's own list says about the model, if the upstream was asked. */
  readonly source?: Readonly<Record<string, unknown>>
}

/** One operation of a protocol, which upstreams of the same protocol serve. */
export interface Endpoint extends ClientEndpoint, UpstreamEndpoint {}

/** How clients call an operation, and how it is counted. */
export interface ClientEndpoint {
  /** Path on the gateway, e.g. `/v1/chat/completions`. In `/v1beta/models/{model}:generate` the path names the model. */
  readonly path: string
  /** Absent: POST. */
  readonly method?: PassedMethod
  /** Present if this operation's clients read problems in another format than the protocol's. */
  readonly problems?: ProblemWords
  /** False for what costs nothing (counting): admitted and recorded, but nothing is reserved or charged. */
  readonly isMetered: boolean
  /**
   * Without figures of the provider a request counts as one with no units; absent: its usage is estimated from the
   * answer.
   */
  readonly isByRequest?: boolean
  /** Fields of a form that are read like members of the same names; absent if the operation takes no form. */
  readonly formFields?: readonly string[]
  /** A member that may replace the model: the provider keeps a prompt under it that names one. */
  readonly modelMayBeIn?: string
  /** How a request without a model is treated; absent if each request must name one. */
  readonly withoutModel?: Endpoint
  /** The request that is assumed if requests of this operation never name a model. */
  readonly standIn?: ModelRequest
  /**
   * Reads what the gateway has to know from the body's top-level members.
   *
   * @param named the model that the path names
   */
  readonly readRequest: (body: Buffer, members: JsonMembers, named?: string) => RequestReading
}

/** How an upstream is asked for an operation, and how its answer is read. */
export interface UpstreamEndpoint {
  /**
   * Path below an upstream's base address, e.g. `/chat/completions`. In `/models/{model}:generate` the path names the model,
   * and the body does not.
   */
  readonly upstreamPath: string
  /** Absent: POST. */
  readonly method?: PassedMethod
  /** A request's body is neither read nor sent on. */
  readonly hasNoBody?: true
  /** The only upstream that requests go to; absent: any that serves the model. */
  readonly upstream?: string
  /** The changes that the body needs before it is sent on; often an empty list. */
  readonly editsFor: (body: Buffer, members: JsonMembers, changes: RequestChanges) => readonly BodyEdit[]
  /**
   * Reads a whole answer's body (decoded). Of a long answer only the end may be given.
   *
   * @param bytes the length of the whole answer, if it is longer than `body`
   */
  readonly readAnswer: (body: Buffer, bytes?: number) => AnswerReading
  /** Opens a meter for one streamed answer. */
  readonly openStream: (options: StreamOptions) => StreamMeter
}

export interface StreamOptions {
  /** Removes the usage event that the gateway itself requested. */
  readonly withholdsUsage: boolean
  /** How many answers the stream may hold (`n`); absent: any number. */
  readonly answers?: number
  /** Reads which models the answer names, since other models than the request's own may have answered. */
  readonly namesModels?: boolean
  /** What takes the operator's words out of errors; absent: the known names of operators alone. */
  readonly hide?: Hide
}

/** What was read from an answer. */
export interface AnswerReading {
  /** The provider's own figures; undefined if it states no usage. */
  readonly usage: Usage | undefined
  readonly extras: UsageExtras | undefined
  readonly passed: PassedUnits
  /** The whole answer is an error, whatever its status. */
  readonly isError: boolean
}

/** The models to which an answer attributes its usage. */
export interface AnswerModels {
  /** The model that answered; undefined if the answer does not name it. */
  readonly answered: string | undefined
  /** What other models used on the way. It is included in the answer's usage. */
  readonly beside: readonly { readonly model: string; readonly usage: Usage }[]
}

/** An estimate, from the bytes, of the units that the model wrote. Reasoning counts as far as it was shown. */
export interface PassedUnits {
  readonly output: number
  readonly reasoning: number
}

/** Meters a stream as it passes, without parsing each event. */
export interface StreamMeter {
  /**
   * Takes the next bytes from the upstream and returns those to send on. That is the same buffer, unless the usage chunk
   * that the gateway asked for has to be removed, or an error holds the operator's names.
   */
  readonly push: (chunk: Buffer) => Buffer
  /** Bytes still held back when the upstream ends. */
  readonly end: () => Buffer
  /** The provider's own figures so far (the last ones if they are cumulative). */
  readonly usage: () => Usage | undefined
  readonly extras: () => UsageExtras | undefined
  /** Filled only if `namesModels` is set. */
  readonly models: () => AnswerModels
  /** Whether the figures are final if nothing more comes, so that nothing has to be estimated. */
  readonly isComplete: () => boolean
  /** Whether nothing can come any more that changes the figures. */
  readonly isOver: () => boolean
  /** Whether an event other than a comment has arrived. */
  readonly hasBegun: () => boolean
  /** Whether the whole answer so far is an error. */
  readonly isError: () => boolean
  /** Set after an error about the operator's account: neither this error passes, nor what comes after it. */
  readonly refusal: () => OperatorRefusal | undefined
  readonly passed: () => PassedUnits
}
