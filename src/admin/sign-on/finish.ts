import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import type { NoteFailedLogin } from '#admin/request/failed-logins.ts'
import { addressOf } from '#admin/request/trace.ts'
import { beginSession } from '#admin/sessions/begin.ts'
import { toSessionAnswer } from '#admin/sessions/wire.ts'
import { createProblem, createThrottled, type Problem } from '#core/errors.ts'
import type { NotAllowed, PendingSignOn, Person, SignOn, SignOnEnded } from '#core/sign-on.ts'
import { unreachable } from './begin.ts'
import { endedPendingCookie, readPendingCookie } from './cookie.ts'
import { renderPage } from './page.ts'
import { idOf } from './person.ts'
import { renderSignOnProblem, wantsPage } from './problem.ts'

export interface SignOnParts extends AdminParts {
  readonly noteFailure: NoteFailedLogin
}

/** The provider's own are far shorter. */
const queryLengthMax = 8_192

/**
 * GET /admin/sessions/sign-on/callback: the provider sends the browser back with a code. The browser must bring the sealed
 * cookie of the sign-on that it has begun, so that no other site can log it in.
 */
export async function finishSignOn(c: AdminContext, signOn: SignOn, parts: SignOnParts): Promise<Response> {
  const answer = await answerOf(c, signOn, parts)
  answer.headers.append('set-cookie', endedPendingCookie(c, parts.clientAddress))
  return answer
}

async function answerOf(c: AdminContext, signOn: SignOn, parts: SignOnParts): Promise<Response> {
  const refuse = (problem: Problem) => renderSignOnProblem(c, problem, parts.clock())
  const { query = '' } = c.get('target')
  const sealed = readPendingCookie(c, parts.clientAddress)
  const pending = sealed === undefined ? undefined : signOn.unseal(sealed)
  if (!pending) return refuse(createProblem('bad_request', notBegun))
  const parameters = new URLSearchParams(query)
  if (query.length > queryLengthMax || parameters.get('state') !== pending.state)
    return refuse(createProblem('bad_request', notBegun))
  const ended = await asGuess(c, parts, parameters.get('code') ?? '', () => signOn.finish(query, pending))
  if ('waitMs' in ended) return refuse(createThrottled(ended.waitMs, parts.clock()))
  switch (ended.kind) {
    case 'unavailable':
      return refuse(createProblem('upstream_failed', unreachable))
    case 'refused':
      return refuse(noted(c, parts, ended))
    case 'named':
      return logIn(c, parts, ended.person, pending)
  }
}

/** A wrong code costs a request to the provider, so it counts as a wrong credential of its place. */
async function asGuess(
  c: AdminContext,
  { throttle, clientAddress }: AdminParts,
  code: string,
  finish: () => Promise<SignOnEnded>,
): Promise<SignOnEnded | { readonly waitMs: number }> {
  const taken = await throttle.take(addressOf(c, clientAddress), code, () => false)
  if (taken.kind === 'closed') return { waitMs: taken.waitMs }
  const { guess } = taken
  try {
    const ended = await finish()
    if (ended.kind === 'named') guess.admitted()
    if (ended.kind !== 'refused') return ended
    const waitMs = ended.why === 'wrong' ? guess.wrong() : guess.known()
    return waitMs === undefined ? ended : { waitMs }
  } finally {
    guess.dropped()
  }
}

async function logIn(
  c: AdminContext,
  parts: AdminParts,
  person: Person,
  { returnTo }: PendingSignOn,
): Promise<Response> {
  const { name, scopes } = person
  const id = idOf(person)
  const now = parts.clock()
  const by = {
    now,
    actor: { kind: 'sign_on' as const, id, name },
    requestId: c.get('requestId'),
    address: addressOf(c, parts.clientAddress),
  }
  const opener = { openedBy: person, keyId: id, isCoded: false }
  const { session, cookie } = await beginSession(c, parts, opener, by)
  c.set('session', session)
  if (wantsPage(c))
    return renderPage({
      status: 200,
      title: 'Logged in',
      words: `Logged in as ${name}.`,
      link: { path: returnTo, words: 'Go on' },
      goesOn: true,
      headers: { 'set-cookie': cookie },
    })
  const key = { id, name, createdAt: now, scopes }
  return Response.json(toSessionAnswer({ session, key }, session.id), { headers: { 'set-cookie': cookie } })
}

function noted(
  c: AdminContext,
  { noteFailure, clientAddress, log }: SignOnParts,
  ended: Extract<SignOnEnded, { kind: 'refused' }>,
): Problem {
  const about = {
    signOn: ended.why,
    ...('subject' in ended && { subject: ended.subject, name: ended.name }),
  }
  const requestId = c.get('requestId')
  log.warn({ requestId, ...about }, 'a sign-on was refused')
  noteFailure({ address: addressOf(c, clientAddress), requestId, about })
  if ('subject' in ended) return createProblem('forbidden', notAllowed(ended.why, ended.name))
  return ended.why === 'denied'
    ? createProblem('forbidden', 'The provider has refused the sign-on.')
    : createProblem('bad_request', notBegun)
}

function notAllowed(why: NotAllowed, name: string): string {
  switch (why) {
    case 'no_group':
      return `${name} is in no group that may administer here. Ask for one, or for another group in signOn.groups of the configuration.`
    case 'too_many_groups':
      return `${name} is in more groups than the provider lists. Let it send the groups of this application only, or roles.`
    case 'email':
      return `${name} has no verified e-mail address of a domain in signOn.emailDomains of the configuration.`
  }
}

const notBegun =
  'This is not the answer to a sign-on that this browser has begun here, or it came too late or twice. Begin again.'
