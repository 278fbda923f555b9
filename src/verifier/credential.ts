import type { IncomingHttpHeaders } from 'node:http'
import { createThrottled } from '#core/errors.ts'
import type { Refused } from '#core/reading.ts'
import { refused } from '#core/reading.ts'
import type { Permission } from '#core/scopes.ts'
import { type Refusal, refuse } from '#http/answer.ts'
import { bearerOf } from '#http/credential.ts'
import { damagedKeyAdvice, damagedKeyNews, findKey } from '#http/key-door.ts'
import type { Visit } from '#http/visit.ts'
import type { VerifierContext } from './context.ts'

/**
 * Authenticates the asking gateway, by an admin key that allows what the route needs, as `verifier` does. At `/auth/verify` the `Authorization`
 * header is the end client's, so the gateway sends its key in a header of its own. On other routes it may use either,
 * and at the introspection endpoint HTTP Basic as well, as clients of RFC 7662 do.
 */
const keyHeader = 'X-Tollgate-Key'

/** Where a route reads the key. */
export type FindsKey = (headers: IncomingHttpHeaders) => string | undefined

/** What a route asks of the gateway. */
export interface GatewayNeed {
  readonly need: Permission
  readonly keyOf: FindsKey
}

export function keyOfProxy(headers: IncomingHttpHeaders): string | undefined {
  const key = headers['x-tollgate-key']
  return typeof key === 'string' && key !== '' ? key : undefined
}

export function keyOfCaller(headers: IncomingHttpHeaders): string | undefined {
  return keyOfProxy(headers) ?? bearerOf(headers.authorization)
}

/** RFC 7617; the name is ignored, the password is the key. */
export function keyOfClient(headers: IncomingHttpHeaders): string | undefined {
  const basic = /^basic[ \t]+([a-z0-9+/]+=*)$/i.exec(headers.authorization?.trim() ?? '')?.[1]
  if (basic === undefined) return keyOfCaller(headers)
  const pair = Buffer.from(basic, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : pair.slice(colon + 1) || undefined
}

/**
 * Authenticates a gateway before its body is read. A valid key is always accepted: other clients may share the
 * gateway's address (behind a proxy in front of both), and their guesses must not shut it out. A throttled caller gets
 * the same answer whatever it sent, so that a guesser learns nothing about keys of other scopes.
 *
 * The networks of a key are compared with the gateway's own address. Where the gateway sends on requests of its clients,
 * a forwarded address is a client's, so that it is the connection's that counts.
 */
export async function letIn(
  visit: Visit,
  { need, keyOf }: GatewayNeed,
  context: VerifierContext,
): Promise<OfGateway | undefined> {
  const secret = keyOf(visit.request.headers)
  if (secret === undefined) return ofGateway(refuse('missing_credential', missing))
  const now = context.clock()
  const from = keyOf === keyOfProxy ? visit.peer : visit.address
  const found = await findKey(
    context.keyThrottle,
    { address: visit.address, from, secret, need },
    { find: () => context.adminKeys.findAdminKey(secret, now), used: context.keyUsed },
  )
  switch (found.kind) {
    case 'in':
      visit.adminKeyId = found.key.id
      return undefined
    case 'unknown':
      return ofGateway(refuse('unknown_admin_key', 'This verifier key is not known.'))
    case 'damaged':
      context.log.error({ requestId: visit.requestId, adminKeyId: found.key.id }, damagedKeyNews)
      return ofGateway(refuse('forbidden', damagedKeyAdvice))
    case 'out_of_scope':
      return ofGateway(refuse('forbidden', `This admin key lacks the scope "${need}", as "verifier" has it.`))
    case 'elsewhere':
      return ofGateway(refuse('address_not_allowed', 'This key is not for this address.'))
    case 'throttled':
      return ofGateway(refused(createThrottled(found.waitMs, now)))
  }
}

const missing = `Send an admin key of the scope "verifier" as "${keyHeader}: <key>".`

/**
 * The asking gateway itself was refused, not the user that it asks about, so the answer is not passed on to that user's
 * client.
 */
export interface OfGateway extends Refusal {
  readonly isOfGateway: true
}

function ofGateway({ kind, problem }: Refused): OfGateway {
  return { kind, problem, isOfGateway: true, patienceMs: Number.POSITIVE_INFINITY }
}
