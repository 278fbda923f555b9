import type { AdmissionRequest } from '#core/admission.ts'
import { errorTable } from '#core/errors.ts'
import { familyOf } from '#core/family.ts'
import { badInput } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import { type Answer, refuse } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { read } from '#lib/reading.ts'
import { ask } from './asking.ts'
import type { VerifierContext } from './context.ts'
import { toIdentityHeaders } from './identity-headers.ts'

/**
 * Forward authentication: a proxy asks for each request of its clients whether it is admitted. The rules are those of
 * Tollgate's own gateway: rate, concurrency, addresses, and a quota that is not used up. The question counts towards
 * the rate, but reserves nothing, since the request's usage is not seen here.
 */
export async function verify(visit: Visit, context: VerifierContext): Promise<Answer> {
  const { requestId, address, route, request } = visit
  const pass = passOf(visit, context)
  if (pass.kind === 'refused') return pass
  const accessToken = context.credentialOf(request.headers)
  if (accessToken === undefined) return refuse('missing_credential')
  const question = { requestId, accessToken, address, route, isMetered: false, pass: pass.value }
  // The proxy asks for its own client, so what it has forwarded is that client's address.
  const verdict = await ask(question, visit.isForwarded ? address : undefined, visit, context)
  if (verdict.kind === 'refused') return verdict
  const { outcome } = verdict
  if (!outcome.user) throw new Error('an admission without a user')
  return { kind: 'answered', status: 200, headers: toIdentityHeaders(outcome.user, outcome, requestId) }
}

type Pass = NonNullable<AdmissionRequest['pass']>

/**
 * The model or family of the question, where the proxy names one. Some proxies (Envoy) append the client's whole target
 * to our path; then the query is the client's, and only the headers are the proxy's.
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
 * Adapts an answer for a proxy. Refusals have their code in a header, since few proxies read bodies. With `?deny=403`
 * every status but 401 becomes 403: nginx passes on these two, and answers 500 for every other. A gateway whose own key
 * is wrong always gets 403: a 401 would tell its clients that their access tokens are wrong.
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
