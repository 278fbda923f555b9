import type { Answer } from '#http/answer.ts'
import type { PlainRoute } from '#http/plain-app.ts'
import type { Visit } from '#http/visit.ts'
import { check } from './check.ts'
import { release, renew, settle } from './conclude.ts'
import type { VerifierContext } from './context.ts'
import { type FindsKey, type GatewayNeed, keyOfCaller, keyOfClient, keyOfProxy } from './credential.ts'
import { introspect } from './introspect.ts'
import { report } from './report.ts'
import { reserve } from './reserve.ts'
import { dressForProxy, verify } from './verify.ts'

/** A route of the verifier: what the key must allow, where it is read, the handler. */
export interface VerifierRoute extends Omit<PlainRoute, 'guard' | 'handle'>, GatewayNeed {
  readonly handle: (visit: Visit, context: VerifierContext, id: string) => Promise<Answer>
}

export const verifierRoutes: readonly VerifierRoute[] = [
  {
    template: '/auth/verify',
    pattern: /^\/auth\/verify(?:\/.*)?$/,
    need: 'verify',
    keyOf: keyOfProxy,
    handle: verify,
    dress: dressForProxy,
  },
  { need: 'verify', ...post('/auth/check', check) },
  { need: 'verify', ...post('/auth/introspect', introspect, keyOfClient) },
  { need: 'usage:write', ...post('/usage', report) },
  { need: 'usage:write', ...post('/usage/reservations', reserve) },
  { need: 'usage:write', ...post('/usage/reservations/{id}/settle', settle) },
  { need: 'usage:write', ...post('/usage/reservations/{id}/release', release) },
  { need: 'usage:write', ...post('/usage/reservations/{id}/renew', renew) },
]

function post(
  template: string,
  handle: VerifierRoute['handle'],
  keyOf: FindsKey = keyOfCaller,
): Omit<VerifierRoute, 'need'> {
  const pattern = new RegExp(`^${template.replace('{id}', '([^/]*)')}$`)
  return { methods: ['POST'], template, pattern, keyOf, handle }
}
