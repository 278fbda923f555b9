import { isOwnAccessToken } from '#core/access-token.ts'
import type { AdmittedUser } from '#core/admission-ask.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, createThrottled } from '#core/errors.ts'
import { type Reading, type Refused, refused } from '#core/reading.ts'
import { type BodyBudget, readBody } from '#http/body.ts'
import { type BodyDecoder, type CodedReading, codingOf, codingsText } from '#http/coded-body.ts'
import type { CredentialReader } from '#http/credential.ts'
import { endGuess, type Guess } from '#http/guess.ts'
import { problemOfBody } from '#http/json-body.ts'
import type { Taken, Throttle } from '#http/throttle.ts'
import type { Coding } from '#lib/content-coding.ts'
import type { Asked } from '#metering/ledger.ts'
import type { Endpoint, LimitsView } from '#providers/provider.ts'
import type { AdmittedRequest } from './admitted.ts'
import { type AskingContext, answerOf, askFirst, askForPerson } from './asking.ts'
import type { NamedModels } from './named-models.ts'
import { type ParsedRequest, type ParsingContext, parseRequest } from './parsed-request.ts'
import { type Block, endOfToken } from './relays.ts'
import type { Visit } from './visit.ts'

export interface IntakeContext extends ParsingContext, AskingContext {
  readonly throttle: Throttle
  readonly clock: Clock
  readonly credentialOf: CredentialReader
  readonly bodyBytesMax: number
  readonly bodyBudget?: BodyBudget | undefined
  readonly bodyDecoder: BodyDecoder
  readonly named: NamedModels
  /** A cheap look-up that is made before a large body is read. */
  readonly knowsAccessToken: (accessToken: string) => Promise<boolean>
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
    coding === 'identity' || sent.kind !== 'read' ? sent : await decode(sent.value, coding, context)
  if (reading.kind === 'broken') return refused(createProblem('bad_request', brokenCoding))
  if (reading.kind !== 'read') return refused(problemOfBody(reading, context.bodyBytesMax))
  const parsing = parseRequest(reading.value, visit, endpoint, context)
  const parsed = parsing instanceof Promise ? await parsing : parsing
  if (parsed.kind !== 'parsed') return parsed
  const outcome = await admit(parsed, visit, accessToken, context)
  if (outcome.kind === 'refused') return outcome
  const decided = concludeAdmission(visit, guess, outcome.value, context)
  if (decided.kind !== 'admitted') return decided
  const { decision, userId, block, tokenEnd, frontEndId, frontEndBlock } = decided
  const { durable } = outcome.value
  const { members, request, input, inputUnits, form } = parsed
  const job = {
    visit,
    endpoint: parsed.endpoint,
    upstreamProvider: visit.provider,
    upstreamEndpoint: parsed.endpoint,
    userId,
    accessToken,
    block,
    tokenEnd,
    frontEndId,
    frontEndBlock,
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
  parsed: ParsedRequest,
  visit: Visit,
  accessToken: string,
  context: IntakeContext,
): Promise<Reading<Asked>> {
  const { named } = context
  const { model, elsewhere, isStandIn } = parsed.request
  const names = elsewhere && elsewhere.names.length > 0 ? [model, ...elsewhere.names] : [model]
  const isUnnamed = !isStandIn && !named.areKnown(visit.provider, names)
  const asked = { parsed, visit, accessToken, isUnnamed }
  let outcome = await askFirst(asked, context)
  if (outcome.kind !== 'refused' && outcome.value.unread)
    outcome = await askForPerson(asked, outcome.value.unread.frontEndId, context)
  if (!isUnnamed || outcome.kind === 'refused' || outcome.value.kind !== 'refused') return outcome
  if (outcome.value.code !== 'model_not_served') return outcome
  const isNamed = await named.areNamed(visit.provider, names)
  return isNamed ? askFirst({ ...asked, isUnnamed: false }, context) : outcome
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
    const asked = context.ledger.admit({ requestId, address, route, accessToken, isMetered: false })
    const outcome = await answerOf(asked, visit, context)
    if (outcome.kind === 'refused') return outcome
    const decided = concludeAdmission(visit, guess, outcome.value, context)
    return decided.kind === 'admitted' ? { kind: 'authenticated', accessToken } : decided
  } finally {
    guess.dropped()
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

type Conclusion =
  | Refusal
  | {
      readonly kind: 'admitted'
      readonly decision: AdmittedRequest['decision']
      readonly userId: string
      readonly block: Block | undefined
      readonly tokenEnd: Block | undefined
      readonly frontEndId: string | undefined
      readonly frontEndBlock: Block | undefined
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
      tokenEnd: endOfToken((outcome.through ?? outcome.user)?.tokenUntil),
      frontEndId: outcome.through?.id,
      frontEndBlock: outcome.through && blockAhead(outcome.through),
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
