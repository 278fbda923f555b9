import type { Answer } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { check } from './check.ts'
import { release, renew, settle } from './conclude.ts'
import type { VerifierContext } from './context.ts'
import { type FindsKey, keyOfCaller, keyOfClient, keyOfProxy } from './credential.ts'
import { introspect } from './introspect.ts'
import { report } from './report.ts'
import { reserve } from './reserve.ts'
import { dressForProxy, verify } from './verify.ts'

/** Every route of the verifier: its path, where it reads the key, its handler. */
export interface VerifierRoute {
  readonly method: 'ANY' | 'POST'
  /** For the log, the ledger and the documents. */
  readonly template: string
  readonly pattern: RegExp
  readonly keyOf: FindsKey
  /** @param id the value of `{id}` in the path */
  readonly handle: (visit: Visit, context: VerifierContext, id: string) => Promise<Answer>
  /** Changes every answer of the route, also the one for a wrong key. */
  readonly dress?: (answer: Answer, visit: Visit) => Answer
}

export const verifierRoutes: readonly VerifierRoute[] = [
  {
    method: 'ANY',
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
  return { method: 'POST', template, pattern, keyOf, handle }
}
