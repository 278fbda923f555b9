import { z } from '@hono/zod-openapi'
import { keySchemas } from '#admin/keys/schemas.ts'
import { toKey } from '#admin/keys/wire.ts'
import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { addressOf } from '#admin/request/trace.ts'
import { createProblem } from '#core/errors.ts'
import { parseAddress } from '#core/network.ts'
import { refused } from '#core/reading.ts'

const schema = z
  .object({
    address: z.string().openapi({
      description:
        'The caller’s address as it counts here, in `allowedNetworks`, throttles and the log: that of the connection, or ' +
        'the one that a trusted proxy wrote into `X-Forwarded-For`. `unknown` where the connection has none.',
    }),
    peer: z.string().openapi({
      description:
        'The address of the connection itself. Where a proxy of yours has it, and `address` is the same, add it to ' +
        '`TRUSTED_PROXIES`.',
    }),
    key: keySchemas.answer,
  })
  .openapi('Caller')

/** GET /admin/whoami: the caller as it is seen here; for setting up a proxy, a key's networks, a client. */
export const readCaller: Operation = {
  need: 'any',
  tag: 'Admin keys',
  summary: 'Say who asks, and from where',
  description: 'The address of the caller as it is seen here, and the admin key that was presented.',
  request: { query: noParameters },
  answer: { description: 'The caller', schema },
  refusals: ['bad_request'],
  async handle(c, { clientAddress }) {
    const key = c.get('adminKey')
    // The guard of every route sets it.
    if (!key) return refused(createProblem('internal'))
    const remote = c.env?.incoming?.socket.remoteAddress
    const peer = (remote !== undefined && parseAddress(remote)) || 'unknown'
    return answered({ address: addressOf(c, clientAddress), peer, key: toKey(key) })
  },
}
