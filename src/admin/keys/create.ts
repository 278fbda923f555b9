import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { keySchemas } from './schemas.ts'
import { parseNewKey, toKey } from './wire.ts'

/** POST /admin/keys: a new key. Only this answer holds its secret. */
export const createKey: Operation = {
  tag: 'Admin keys',
  summary: 'Create an admin key',
  description: 'The key itself is shown in this answer only. An unknown field is an error here.',
  request: { body: { ...jsonBody(keySchemas.input), required: true } },
  answer: { description: 'The key', schema: keySchemas.created },
  refusals: bodyRefusals,
  async handle(c, parts) {
    const wanted = await readParsed(c, parts, (value) => parseNewKey(value, parts.clock()))
    if (wanted.kind === 'refused') return wanted
    const { key, secret } = await createAdminKey(parts.store.adminKeys, wanted.value, parts.clock())
    return answered({ ...toKey(key), key: secret })
  },
}
