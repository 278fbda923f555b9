import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { refused } from '#core/reading.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { excessProblem, ownBounds, withinOwn } from './bounds.ts'
import { keySchemas } from './schemas.ts'
import { parseNewKey, toKey } from './wire.ts'

/** POST /admin/keys: a new key. Only this answer holds its secret. */
export const createKey: Operation = {
  need: 'keys:write',
  tag: 'Admin keys',
  summary: 'Create an admin key',
  description:
    'The key itself is shown in this answer only. It can have no more than the key that makes it: other scopes, a later ' +
    'end or further networks are 403, and an end or networks that are not given are taken from that key. An unknown ' +
    'field is an error here.',
  request: { body: { ...jsonBody(keySchemas.input), required: true } },
  answer: { description: 'The key', schema: keySchemas.created },
  refusals: bodyRefusals,
  async handle(c, parts) {
    const input = await readParsed(c, parts, (value) => parseNewKey(value, parts.clock()))
    if (input.kind === 'refused') return input
    const own = ownBounds(c)
    const wanted = withinOwn(own, input.value)
    const excess = excessProblem(own, wanted)
    if (excess) return refused(excess)
    const { key, secret } = await createAdminKey(parts.store.adminKeys, wanted, byOf(c, parts))
    return answered({ ...toKey(key), key: secret })
  },
}
