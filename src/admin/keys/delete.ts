import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { byOf } from '#admin/request/by.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { excessProblem, ownBounds } from './bounds.ts'
import { configuredKey, findNamedKey } from './named.ts'
import { keySchemas } from './schemas.ts'

/** DELETE /admin/keys/{id}: the key stops working at once. */
export const deleteKey: Operation = {
  need: 'keys:write',
  tag: 'Admin keys',
  summary: 'Delete an admin key',
  description:
    'The key stops working at once. The last key with the scope `admin` stays, unless `ADMIN_KEY` is configured. A key ' +
    'with a scope that yours lacks is 403.',
  request: { params: keySchemas.path },
  answer: { description: 'The key was deleted', schema: keySchemas.deleted },
  refusals: ['not_found', 'conflict'],
  async handle(c, parts) {
    const named = await findNamedKey(c, parts.store.adminKeys)
    if (!named) return refused(createProblem('not_found'))
    // Ending a key gives nothing away; its end and its networks do not matter.
    const excess = excessProblem({ scopes: ownBounds(c).scopes }, named)
    if (excess) return refused(excess)
    switch (await parts.store.adminKeys.deleteAdminKey(named.id, byOf(c, parts))) {
      case 'deleted':
        return answered({ id: named.id })
      case 'unknown':
        return refused(createProblem('not_found'))
      case 'last':
        return refused(createProblem('conflict', lastKey))
      case 'configured':
        return refused(createProblem('conflict', configuredKey))
    }
  },
}

const lastKey = 'This is the last key that opens the admin API: make another one first.'
