import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import { type Answer, answered } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { ask } from './asking.ts'
import type { VerifierContext } from './context.ts'
import { toIntrospection } from './introspect-wire.ts'
import { readForm } from './request-body.ts'

/**
 * RFC 7662, for resource servers that support it. Section 2.2: for an access token that may not be used the answer is
 * only `{"active": false}`, whether it is unknown, disabled or expired. The client's address is not known here, so
 * rules about addresses do not apply.
 */
export async function introspect(visit: Visit, context: VerifierContext): Promise<Answer> {
  const reading = await readForm(visit.request, context)
  if (reading.kind === 'refused') return reading
  const [accessToken = '', ...more] = reading.value.getAll('token')
  if (accessToken === '' || more.length > 0)
    return refused(badInput([{ path: 'token', message: 'is required, once' }]))
  const { requestId, route } = visit
  const question = { requestId, accessToken, address: undefined, route, isMetered: false, isDry: true }
  const verdict = await ask(question, undefined, visit, context)
  return answered(toIntrospection(verdict.kind === 'admitted' ? verdict.outcome.user : undefined))
}
