import type { AdmissionRequest } from '#core/admission.ts'
import { errorTable } from '#core/errors.ts'
import { familyOf } from '#core/family.ts'
import { badInput } from '#core/issues.ts'
import { type Reading, read, refused } from '#core/reading.ts'
import { type Answer, refuse } from '#http/answer.ts'
import { credentialOf } from '#http/credential.ts'
import type { Visit } from '#http/visit.ts'
import { ask } from './asking.ts'
import type { VerifierContext } from './context.ts'
import { toIdentityHeaders } from './identity-headers.ts'

/**
 * Forward authentication: a proxy asks for each request of its clients whether it may pass. It is admitted as one
 * at our own gateway is, with rate, concurrency, addresses and a quota that is not used up; it counts towards the
 * rate, and reserves nothing, since nobody here sees what it will use.
 */
export async function verify(visit: Visit, context: VerifierContext): Promise<Answer> {
  const { requestId, address, route, request } = visit
  const pass = passOf(visit, context)
  if (pass.kind === 'refused') return pass
  const accessToken = credentialOf(request.headers)
  if (accessToken === undefined) return refuse('missing_credential')
  const question = { requestId, accessToken, address, route, isMetered: false, pass: pass.value }
  // The proxy asks for its own client, so what it has forwarded is that client's address.
  const verdict = await ask(question, visit.isForwarded ? address : undefined, visit, context)
  if (verdict.kind === 'refused') return verdict
  const { outcome } = verdict
  if (!outcome.user) throw new Error('nobody was admitted')
  return { kind: 'answered', status: 200, headers: toIdentityHeaders(outcome.user, outcome, requestId) }
}

type Pass = NonNullable<AdmissionRequest['pass']>

/**
 * Which model or family it is about, where the proxy says. Some proxies (Envoy) put the client's whole target
 * behind our path; then the query is the client's, and only the headers are the proxy's.
 */
function passOf({ path, query, request }: Visit, { policy }: VerifierContext): Reading<Pass> {
  const isOwnQuery = path === '/auth/verify'
  const saidOf = (name: 'model' | 'family') => {
    const inHeader = request.headers[`x-tollgate-${name}`]
    return (isOwnQuery && query.get(name)) || (typeof inHeader === 'string' ? inHeader : '') || undefined
  }
  const model = saidOf('model')
  const named = saidOf('family')
  const names = policy.families.map(({ name }) => name)
  if (named !== undefined && !names.includes(named))
    return refused(
      badInput([{ path: 'family', message: `is not a known family; known are ${names.join(', ')}` }]),
    )
  const family = named ?? (model === undefined ? undefined : familyOf(model, policy.families))
  return read({ ...(model !== undefined && { model }), ...(family !== undefined && { family }) })
}

/**
 * Dresses an answer for a proxy. Refusals carry their code in a header, since few proxies look into bodies. With
 * `?deny=403` all but 401 become 403: nginx passes on these two, and makes 500 of everything else. A gateway whose
 * own key is wrong always gets 403: 401 would tell its clients that their access tokens are wrong.
 */
export function dressForProxy(answer: Answer, { path, query }: Visit): Answer {
  if (answer.kind === 'answered') return answer
  const { code } = answer.problem
  const status = 'isOfGateway' in answer ? 403 : errorTable[code].status
  const isFlat = path === '/auth/verify' && query.get('deny') === '403'
  return {
    ...answer,
    status: isFlat && status !== 401 ? 403 : status,
    headers: { 'x-tollgate-code': code, 'x-tollgate-status': String(status) },
  }
}
