import { z } from '@hono/zod-openapi'
import { keySchemas } from '#admin/keys/schemas.ts'
import { toKey } from '#admin/keys/wire.ts'
import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { callerAddressFields, callerAddressOf } from './address.ts'

const schema = z
  .object({
    ...callerAddressFields,
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
    return answered({ ...callerAddressOf(c, clientAddress), key: toKey(key) })
  },
}
