import { isOwnAccessToken } from '#core/access-token.ts'
import type { AdmissionAsk, AdmittedUser } from '#core/admission-ask.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, createThrottled } from '#core/errors.ts'
import { type Family, familyOf } from '#core/family.ts'
import type { InputUnits } from '#core/input-kinds.ts'
import { type Reading, type Refused, read, refused } from '#core/reading.ts'
import { toUnits } from '#core/units.ts'
import { type BodyBudget, readBody } from '#http/body.ts'
import { type BodyDecoder, type CodedReading, codingOf, codingsText } from '#http/coded-body.ts'
import type { CredentialReader } from '#http/credential.ts'
import { endGuess, type Guess } from '#http/guess.ts'
import { problemOfBody } from '#http/json-body.ts'
import type { Log } from '#http/log.ts'
import type { Taken, Throttle } from '#http/throttle.ts'
import type { Coding } from '#lib/content-coding.ts'
import { boundaryOf, type Form, readForm } from '#lib/form-fields.ts'
import { type JsonMembers, type MembersReading, readMembers, scanMembers } from '#lib/json-members.ts'
import type { InputCorrections } from '#metering/input-corrections.ts'
import { type Asked, isOfOneRequest, type Meter } from '#metering/meter.ts'
import { applyEdits, editForMember } from '#providers/body-edits.ts'
import { boundEstimate, type EstimateMode, unitsByKind, usualEstimate } from '#providers/estimate.ts'
import { type InputSize, measureInput } from '#providers/input-size.ts'
import { type ModelsElsewhere, mayStray } from '#providers/models-elsewhere.ts'
import type { Endpoint, LimitsView, ModelRequest, Provider } from '#providers/provider.ts'
import type { AdmittedRequest } from './admitted.ts'
import type { NamedModels } from './named-models.ts'
import type { Block } from './relays.ts'
import type { Visit } from './visit.ts'

export interface IntakeContext {
  readonly meter: Meter
  readonly throttle: Throttle
  readonly clock: Clock
  readonly families: readonly Family[]
  readonly credentialOf: CredentialReader
  readonly bodyBytesMax: number
  readonly bodyBudget?: BodyBudget | undefined
  readonly bodyDecoder: BodyDecoder
  readonly inputEstimate: EstimateMode
  readonly corrections: InputCorrections
  readonly named: NamedModels
  readonly promptModel?: string | undefined
  /** A cheap look-up that is made before a large body is read. */
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
  readonly log: Log
}

export interface Refusal extends Refused {
  readonly limits?: LimitsView
}
type Gone = { readonly kind: 'gone' }
export type Intake = { readonly kind: 'admitted'; readonly job: AdmittedRequest } | Refusal | Gone

const otherCoding = `This content-encoding is not supported: send the body without one, or with one of ${codingsText}.`
const brokenCoding = 'The body cannot be decoded by its content-encoding: it is damaged or incomplete.'

/** A body up to this size is read before its access token is looked up: reading it costs less than the look-up. */
const smallBodyBytes = 64 * 1024

/**
 * Takes a request from its arrival to its admission: reads its access token, reads its body, and asks the account. A
 * large body is read only after its access token was found, and a request that waits behind wrong guesses is not read at
 * all. `admitted` means that an entry is open, which must be settled.
 */
export async function admitRequest(
  visit: Visit,
  endpoint: Endpoint,
  context: IntakeContext,
): Promise<Intake> {
  const identified = identify(visit, context)
  const caller = identified instanceof Promise ? await identified : identified
  if (caller.kind !== 'caller') return caller
  try {
    return await admitFrom(caller, visit, endpoint, context)
  } finally {
    caller.guess.dropped()
  }
}

async function admitFrom(
  { accessToken, guess }: Caller,
  visit: Visit,
  endpoint: Endpoint,
  context: IntakeContext,
): Promise<Intake> {
  const coding = codingOf(visit.request.headers['content-encoding'])
  if (coding === 'other') {
    visit.response.setHeader('accept-encoding', codingsText)
    return refused(createProblem('unsupported_media_type', otherCoding))
  }
  // A compressed body grows when it is decoded, so it counts as large.
  if (guess.isAwaited || isLarge(visit) || coding !== 'identity') {
    const known = await answerOf(context.knowsAccessToken(accessToken), visit, context)
    if (known.kind === 'refused') return known
    if (!known.value) return refuseUnknown(guess.wrong(), context)
    guess.found()
  }
  const readFrom = performance.now()
  const sent = await readBody(visit.request, context.bodyBytesMax, { budget: context.bodyBudget })
  visit.waitedMs += performance.now() - readFrom
  if (sent.kind === 'gone') return sent
  const reading =
    coding === 'identity' || sent.kind !== 'read' ? sent : await decode(sent.body, coding, context)
  if (reading.kind === 'broken') return refused(createProblem('bad_request', brokenCoding))
  if (reading.kind !== 'read') return refused(problemOfBody(reading, context.bodyBytesMax))
  const parsing = parse(reading.body, visit, endpoint, context)
  const parsed = parsing instanceof Promise ? await parsing : parsing
  if (parsed.kind !== 'parsed') return parsed
  const outcome = await admit(parsed, visit, accessToken, context)
  if (outcome.kind === 'refused') return outcome
  const decided = concludeAdmission(visit, guess, outcome.value, context)
  if (decided.kind !== 'admitted') return decided
  const { decision, userId, block } = decided
  const { durable } = outcome.value
  const { members, request, input, inputUnits, form } = parsed
  const job = {
    visit,
    endpoint: parsed.endpoint,
    upstreamProvider: visit.provider,
    upstreamEndpoint: parsed.endpoint,
    userId,
    block,
    body: parsed.body,
    members,
    request,
    inputEstimate: input,
    inputUnits,
    decision,
    durable,
    form,
  }
  return { kind: 'admitted', job }
}

/**
 * The upstreams' lists of models are fetched only if the request was refused because no list names its model. Most users
 * have no limit that such a name could evade, and do not wait for a list.
 */
async function admit(
  parsed: Parsed,
  visit: Visit,
  accessToken: string,
  context: IntakeContext,
): Promise<Reading<Asked>> {
  const { named } = context
  const { model, elsewhere, isStandIn } = parsed.request
  const names = elsewhere && elsewhere.names.length > 0 ? [model, ...elsewhere.names] : [model]
  const isUnnamed = !isStandIn && !named.areKnown(visit.provider, names)
  const outcome = await ask(parsed, visit, accessToken, isUnnamed, context)
  if (!isUnnamed || outcome.kind === 'refused' || outcome.value.kind !== 'refused') return outcome
  if (outcome.value.code !== 'model_not_served') return outcome
  const isNamed = await named.areNamed(visit.provider, names)
  return isNamed ? ask(parsed, visit, accessToken, false, context) : outcome
}

function ask(
  parsed: Parsed,
  visit: Visit,
  accessToken: string,
  isUnnamed: boolean,
  context: IntakeContext,
): Promise<Reading<Asked>> {
  return answerOf(context.meter.admit(askOf(visit, accessToken, parsed, isUnnamed, context)), visit, context)
}

function decode(body: Buffer, coding: Coding, context: IntakeContext): Promise<CodedReading> {
  return context.bodyDecoder.decode(body, coding, context.bodyBytesMax)
}

/** Authenticates a request and checks that its user may use the gateway at all. Nothing is reserved or counted. */
export async function authenticate(
  visit: Visit,
  context: IntakeContext,
): Promise<Refusal | { readonly kind: 'authenticated'; readonly accessToken: string }> {
  const caller = await identify(visit, context)
  if (caller.kind !== 'caller') return caller
  const { accessToken, guess } = caller
  try {
    const { requestId, address, route } = visit
    const asked = context.meter.admit({ requestId, address, route, accessToken, isMetered: false })
    const outcome = await answerOf(asked, visit, context)
    if (outcome.kind === 'refused') return outcome
    const decided = concludeAdmission(visit, guess, outcome.value, context)
    return decided.kind === 'admitted' ? { kind: 'authenticated', accessToken } : decided
  } finally {
    guess.dropped()
  }
}

/**
 * Waits for an answer of the store. If the store fails, the request is refused as a failure of the store (the gateway
 * fails closed), and never as if its access token were unknown.
 */
export async function answerOf<T>(
  question: Promise<T>,
  visit: Visit,
  { log }: Pick<IntakeContext, 'log'>,
): Promise<Reading<T>> {
  try {
    return read(await question)
  } catch (error) {
    const code = isOfOneRequest(error) ? 'internal' : 'store_unavailable'
    log.error({ requestId: visit.requestId, err: error }, 'the store cannot be asked')
    return refused(createProblem(code))
  }
}

type Caller = { readonly kind: 'caller'; readonly accessToken: string; readonly guess: Guess }

/**
 * Reads the access token and registers it with the throttle as a guess, which the caller of this function must end. The
 * throttle usually answers at once.
 */
function identify(visit: Visit, context: IntakeContext): Caller | Refusal | Promise<Caller | Refusal> {
  const accessToken = context.credentialOf(visit.request.headers)
  if (accessToken === undefined) return refused(createProblem('missing_credential'))
  const taking = context.throttle.take(visit.address, accessToken, isOwnAccessToken)
  const conclude = (taken: Taken): Caller | Refusal =>
    taken.kind === 'closed'
      ? refuseThrottled(taken.waitMs, context)
      : { kind: 'caller', accessToken, guess: taken.guess }
  return taking instanceof Promise ? taking.then(conclude) : conclude(taking)
}

/** Whether a body is large or of unknown length. Without either header there is no body (RFC 9112, 6.3). */
function isLarge({ request: { headers } }: Visit): boolean {
  const length = headers['content-length']
  if (length === undefined) return headers['transfer-encoding'] !== undefined
  return !(Number(length) <= smallBodyBytes)
}

type Parsed = {
  readonly kind: 'parsed'
  /** The client's bytes, or these with the configured model of stored prompts written in. */
  readonly body: Buffer
  readonly endpoint: Endpoint
  readonly members: JsonMembers
  readonly request: ModelRequest
  readonly input: number
  readonly inputUnits: InputUnits | undefined
  readonly form?: Form | undefined
}

/** Answers at once for a small body: each wait would cost a turn of the microtasks. */
function parse(
  body: Buffer,
  visit: Visit,
  endpoint: Endpoint,
  context: IntakeContext,
): Parsed | Refusal | Promise<Parsed | Refusal> {
  const { standIn, withoutModel } = endpoint
  if (standIn) return parsedAs(standIn, endpoint.hasNoBody ? noBytes : body, endpoint)
  const mediaType = visit.request.headers['content-type']
  const boundary = endpoint.formFields && boundaryOf(mediaType)
  if (endpoint.formFields && boundary !== undefined) return parseForm(body, boundary, endpoint)
  // A body that is not JSON names no model.
  if (withoutModel && !mayBeJson(mediaType)) return parse(body, visit, withoutModel, context)
  const scan = scanMembers(body)
  if (scan instanceof Promise)
    return scan.then((later) => parseScanned(later, body, visit, endpoint, context))
  return parseScanned(scan, body, visit, endpoint, context)
}

function parseScanned(
  scan: MembersReading,
  body: Buffer,
  visit: Visit,
  endpoint: Endpoint,
  context: IntakeContext,
): Parsed | Refusal | Promise<Parsed | Refusal> {
  if (scan.kind === 'invalid') return refused(createProblem('bad_json', scan.message))
  const { members } = scan
  const { withoutModel } = endpoint
  if (withoutModel && !members.byKey.has('model')) return parse(body, visit, withoutModel, context)
  const { promptModel } = context
  if (promptModel !== undefined && lacksModel(members, endpoint)) {
    // The model is written into the body, so that the upstream runs the admitted model whatever the stored prompt names.
    const stated = applyEdits(body, [editForMember(members, 'model', JSON.stringify(promptModel))])
    return parse(stated, visit, endpoint, context)
  }
  const reading = endpoint.readRequest(body, members, visit.model)
  if (reading.kind === 'refused') return reading
  const { request } = reading
  const parsed: Parsed = { kind: 'parsed', body, endpoint, members, request, ...noEstimate }
  return endpoint.isMetered ? withEstimate(parsed, visit.provider, context) : parsed
}

function lacksModel({ byKey }: JsonMembers, { modelMayBeIn }: Endpoint): boolean {
  return modelMayBeIn !== undefined && byKey.has(modelMayBeIn) && !byKey.has('model')
}

type InputEstimate = Pick<Parsed, 'input' | 'inputUnits'>

const noEstimate: InputEstimate = { input: 0, inputUnits: undefined }

function withEstimate(
  parsed: Parsed,
  { inputMembers }: Provider,
  context: IntakeContext,
): Parsed | Promise<Parsed> {
  const { body, members, request } = parsed
  const size = measureInput(body, members, request.model, inputMembers)
  if (size instanceof Promise) return size.then((later) => withSize(parsed, later, context))
  return withSize(parsed, size, context)
}

function withSize(
  { kind, body, endpoint, members, request }: Parsed,
  size: InputSize,
  { inputEstimate, corrections }: IntakeContext,
): Parsed {
  const { model, elsewhere, advisor } = request
  const units = unitsByKind(size, model)
  const usual = usualEstimate(units, corrections.factorsOf(model))
  const input = inputEstimate === 'bound' ? Math.max(usual, boundEstimate(size, model)) : usual
  // If another model may answer in its place, the figures say nothing about this one. Figures of other endpoints (images,
  // speech) say nothing about text, so the input corrections must not learn from them.
  const isOfThisModel = size.isWhole && !advisor && !mayStray(elsewhere) && !endpoint.isByRequest
  return { kind, body, endpoint, members, request, input, inputUnits: isOfThisModel ? units : undefined }
}

/** The estimated input units of one image or sound in a form. */
const fileUnits = 1600

const noMembers: JsonMembers = { byKey: new Map(), insertAt: 0, isEmpty: true }
const noBytes = Buffer.alloc(0)

/** A request whose body is not read. It counts as one request, whatever its body holds. */
function parsedAs(request: ModelRequest, body: Buffer, endpoint: Endpoint): Parsed {
  return { kind: 'parsed', body, endpoint, members: noMembers, request, ...noEstimate }
}

/**
 * Some servers read a body as JSON also if its type is missing, text or a plain form. Only types that rule JSON out are
 * excluded.
 */
function mayBeJson(mediaType: string | undefined): boolean {
  return !/^\s*(?:application\/octet-stream|multipart\/|audio\/|image\/|video\/)/i.test(mediaType ?? '')
}

/** Reads the fields of a form as the equivalent JSON. The form itself is sent on unchanged. */
function parseForm(body: Buffer, boundary: string, endpoint: Endpoint): Parsed | Refusal {
  const read = readForm(body, boundary)
  if (read.kind === 'invalid') return refused(createProblem('bad_request', read.message))
  const { form } = read
  if (endpoint.withoutModel?.standIn && !form.fields.has('model'))
    return parsedAs(endpoint.withoutModel.standIn, body, endpoint.withoutModel)
  const names = endpoint.formFields ?? []
  const twice = names.find((name) => form.repeated.has(name))
  if (twice !== undefined) return refused(createProblem('bad_request', `The field ${twice} is given twice.`))
  const values = names.flatMap((name) => {
    const field = form.fields.get(name)
    return field && field.value !== '' ? [[name, name === 'model' ? field.value : jsonOf(field.value)]] : []
  })
  const json = Buffer.from(JSON.stringify(Object.fromEntries(values)))
  const scan = readMembers(json)
  if (scan.kind === 'invalid') return refused(createProblem('bad_request', scan.message))
  const reading = endpoint.readRequest(json, scan.members)
  if (reading.kind === 'refused') return reading
  const input = endpoint.isMetered ? Math.ceil(form.textBytes / 3) + form.files * fileUnits : 0
  const { request } = reading
  return { kind: 'parsed', body, endpoint, members: noMembers, request, input, inputUnits: undefined, form }
}

function jsonOf(text: string): unknown {
  return /^(?:true|false|\d{1,9})$/.test(text) ? JSON.parse(text) : text
}

function askOf(
  visit: Visit,
  accessToken: string,
  parsed: Parsed,
  isUnnamed: boolean,
  context: IntakeContext,
): AdmissionAsk {
  const { model, output, choices, leastCap, mostCap, hasOutput, elsewhere, advisor } = parsed.request
  const { endpoint } = parsed
  const isBounded = endpoint.isMetered && hasOutput
  const outputAmongInput = endpoint.isMetered && !hasOutput ? (output ?? 0) : 0
  return {
    requestId: visit.requestId,
    address: visit.address,
    route: visit.route,
    accessToken,
    isMetered: endpoint.isMetered,
    units: {
      model,
      family: familyOf(model, context.families),
      isUnnamed,
      // Output that the request cannot bound is reserved as a part of the input, since the reserved output may be
      // lowered.
      input: toUnits(parsed.input + outputAmongInput),
      outputAmongInput: outputAmongInput > 0 ? outputAmongInput : undefined,
      output: isBounded ? output : 0,
      choices,
      leastCap,
      mostCap,
      mayLower: true,
      advisor: isBounded ? advisor : undefined,
      elsewhere: mayStray(elsewhere) ? toFamilies(elsewhere, context.families) : undefined,
    },
  }
}

function toFamilies({ names, isOpen }: ModelsElsewhere, families: readonly Family[]) {
  return { models: names.map((model) => ({ model, family: familyOf(model, families) })), isOpen }
}

type Conclusion =
  | Refusal
  | {
      readonly kind: 'admitted'
      readonly decision: AdmittedRequest['decision']
      readonly userId: string
      readonly block: Block | undefined
    }

function concludeAdmission(visit: Visit, guess: Guess, outcome: Asked, context: IntakeContext): Conclusion {
  visit.userId = outcome.user?.id
  const waitMs = endGuess(guess, outcome)
  if (waitMs !== undefined) return refuseThrottled(waitMs, context)
  if (outcome.kind === 'admitted')
    return {
      kind: 'admitted',
      decision: outcome,
      userId: outcome.user?.id ?? '',
      block: outcome.user && blockAhead(outcome.user),
    }
  const { code, message, retryAt, limit, quota, rate } = outcome
  // If the quota's reset would not help, its time is left out: clients would wait for it.
  const isForGood = code === 'quota_exceeded' && retryAt === undefined
  const shown = quota && isForGood ? { ...quota, resetAt: Number.POSITIVE_INFINITY } : quota
  return { ...refused(createProblem(code, message, { retryAt, limit })), limits: { quota: shown, rate } }
}

/** The block of this user that is known in advance: an expiry, or a disabling at a set time. */
function blockAhead({ blockedFrom: at, expiresAt }: AdmittedUser): Block | undefined {
  if (at === undefined) return undefined
  return { at, problem: createProblem(at === expiresAt ? 'user_expired' : 'user_disabled') }
}

function refuseUnknown(waitMs: number | undefined, context: IntakeContext): Refusal {
  return waitMs === undefined
    ? refused(createProblem('unknown_access_token'))
    : refuseThrottled(waitMs, context)
}

function refuseThrottled(waitMs: number, { clock }: IntakeContext): Refusal {
  return refused(createThrottled(waitMs, clock()))
}
