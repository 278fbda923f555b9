import type { Answer } from '#http/answer.ts'
import type { PlainRoute } from '#http/plain-app.ts'
import type { Visit } from '#http/visit.ts'
import { check } from './check.ts'
import { release, renew, settle } from './conclude.ts'
import type { VerifierContext } from './context.ts'
import { type FindsKey, keyOfCaller, keyOfClient, keyOfProxy } from './credential.ts'
import { introspect } from './introspect.ts'
import { report } from './report.ts'
import { reserve } from './reserve.ts'
import { dressForProxy, verify } from './verify.ts'

/** A route of the verifier: where it reads the key, its handler. */
export interface VerifierRoute extends Omit<PlainRoute, 'guard' | 'handle'> {
  readonly keyOf: FindsKey
  readonly handle: (visit: Visit, context: VerifierContext, id: string) => Promise<Answer>
}

export const verifierRoutes: readonly VerifierRoute[] = [
  {
    template: '/auth/verify',
    pattern: /^\/auth\/verify(?:\/.*)?$/,
    keyOf: keyOfProxy,
    handle: verify,
    dress: dressForProxy,
  },
  post('/auth/check', keyOfCaller, check),
  post('/auth/introspect', keyOfClient, introspect),
  post('/usage', keyOfCaller, report),
  post('/usage/reservations', keyOfCaller, reserve),
  post('/usage/reservations/{id}/settle', keyOfCaller, settle),
  post('/usage/reservations/{id}/release', keyOfCaller, release),
  post('/usage/reservations/{id}/renew', keyOfCaller, renew),
]

function post(template: string, keyOf: FindsKey, handle: VerifierRoute['handle']): VerifierRoute {
  const pattern = new RegExp(`^${template.replace('{id}', '([^/]*)')}$`)
  return { methods: ['POST'], template, pattern, keyOf, handle }
}
