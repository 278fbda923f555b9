import { createProblem } from '#core/errors.ts'
import type { Family } from '#core/family.ts'
import type { AskedPerson } from '#core/front-end.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { Log } from '#http/log.ts'
import { read } from '#lib/reading.ts'
import { type Asked, isOfOneRequest, type Ledger } from '#metering/ledger.ts'
import type { ParsedRequest } from './parsed-request.ts'
import type { KnownFrontEnd } from './people/known-front-end.ts'
import type { People } from './people/people.ts'
import { askOf } from './request-ask.ts'
import type { Visit } from './visit.ts'

export interface AskingContext {
  readonly ledger: Ledger
  readonly families: readonly Family[]
  readonly people: People
  readonly log: Log
}

/** Whether an access token is a front end's is known after its first request; of other requests nothing more is asked. */
export function askFirst(asked: Question, context: AskingContext): Promise<Reading<Asked>> {
  const frontEnd = context.people.frontEndOf(asked.accessToken)
  return frontEnd ? askForPerson(asked, frontEnd, context) : ask(asked, 'unread', context)
}

export interface Question {
  readonly parsed: ParsedRequest
  readonly visit: Visit
  readonly accessToken: string
  readonly isUnnamed: boolean
}

/** Settings that are changed again while a request reads them are read so often. */
const roundsMax = 4

/** Finds the person and asks; again by the present settings where the ones that were known are not those any more. */
export async function askForPerson(
  asked: Question,
  known: KnownFrontEnd | string,
  context: AskingContext,
): Promise<Reading<Asked>> {
  const { parsed, visit, accessToken } = asked
  const { people } = context
  let frontEnd = known
  for (let round = 0; round < roundsMax; round++) {
    const isRemembered = typeof frontEnd !== 'string'
    if (typeof frontEnd === 'string') {
      const learned = await answerOf(people.learn(accessToken, frontEnd), visit, context)
      if (learned.kind === 'refused') return learned
      visit.frontEnd = learned.value
    } else visit.frontEnd = frontEnd
    const reading = visit.frontEnd
      ? await answerOf(Promise.resolve(people.personOf(visit.frontEnd, visit, parsed)), visit, context)
      : read(noPerson)
    if (reading.kind === 'refused') return reading
    const person = reading.value
    // By settings that were only remembered nothing is refused before the store has said that they are the present ones.
    if (person.kind === 'refused' && !isRemembered) return person
    const outcome = await ask(asked, person.kind === 'refused' ? 'unread' : person.value, context)
    if (outcome.kind === 'refused') return outcome
    if (!outcome.value.unread) {
      const { kind, through } = outcome.value
      if (kind === 'admitted' && !through && isOfPerson(person)) {
        // Admitted without one: it is no front end any more, and its requests pass as those of any user.
        people.forgetFrontEnd(accessToken)
        visit.frontEnd = undefined
      }
      return outcome
    }
    const { frontEndId, version } = outcome.value.unread
    if (person.kind === 'refused') {
      if (version === visit.frontEnd?.version) return person
    } else if (person.value !== 'unread') people.forget(person.value)
    frontEnd = frontEndId
  }
  return refused(createProblem('store_unavailable'))
}

/** Whether a front end could not be let in by this for itself. */
function isOfPerson(person: Reading<AskedPerson | 'unread'>): boolean {
  if (person.kind === 'refused') return true
  return person.value !== 'unread' && (person.value.userId !== undefined || person.value.version === '')
}

/** The user is no front end any more. */
const noPerson = read('unread' as const)

function ask(
  { parsed, visit, accessToken, isUnnamed }: Question,
  person: AskedPerson | 'unread',
  context: AskingContext,
): Promise<Reading<Asked>> {
  const question = askOf(visit, accessToken, parsed, isUnnamed, person, context.families)
  return answerOf(context.ledger.admit(question), visit, context)
}

/**
 * Waits for an answer of the store. If the store fails, the request is refused as a failure of the store (the gateway
 * fails closed), and never as if its access token were unknown.
 */
export async function answerOf<T>(
  question: Promise<T>,
  visit: Visit,
  { log }: Pick<AskingContext, 'log'>,
): Promise<Reading<T>> {
  try {
    return read(await question)
  } catch (error) {
    const code = isOfOneRequest(error) ? 'internal' : 'store_unavailable'
    log.error({ requestId: visit.requestId, err: error }, 'the store cannot be asked')
    return refused(createProblem(code))
  }
}
