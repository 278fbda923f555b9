import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { rotateAdminKey } from '#storage/admin-keys/create.ts'
import { excessProblem, ownBounds } from './bounds.ts'
import { configuredKey, damagedKey, findNamedKey } from './named.ts'
import { keySchemas } from './schemas.ts'
import { parseRotation, toKey } from './wire.ts'

/** POST /admin/keys/{id}/rotate: another secret for the same key; the one before may work on for a while. */
export const rotateKey: Operation = {
  need: 'keys:write',
  tag: 'Admin keys',
  summary: 'Give an admin key another secret',
  description:
    'Id, name, scopes and end stay. The new secret is shown in this answer only. The present one stops working at once, ' +
    'or at `previousUntil`; one that was rotated before stops at once. A key that has more than yours is 403. An unknown ' +
    'field is an error here.',
  request: { params: keySchemas.path, body: jsonBody(keySchemas.rotation) },
  answer: { description: 'The key', schema: keySchemas.created },
  refusals: [...bodyRefusals, 'not_found', 'conflict'],
  async handle(c, parts) {
    const previousUntil = await readParsed(c, parts, (value) => parseRotation(value, parts.clock()))
    if (previousUntil.kind === 'refused') return previousUntil
    const { adminKeys } = parts.store
    const named = await findNamedKey(c, adminKeys)
    if (!named) return refused(createProblem('not_found'))
    if (named.isDamaged) return refused(createProblem('conflict', damagedKey))
    // Its secret will be known to the caller, who would then have all of what it has.
    const excess = excessProblem(ownBounds(c), named)
    if (excess) return refused(excess)
    const rotated = await rotateAdminKey(adminKeys, named, previousUntil.value, byOf(c, parts))
    switch (rotated) {
      case 'unknown':
        return refused(createProblem('not_found'))
      case 'configured':
        return refused(createProblem('conflict', configuredKey))
      default:
        return answered({ ...toKey(rotated.key), key: rotated.secret })
    }
  },
}
