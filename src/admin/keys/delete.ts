import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { keySchemas } from './schemas.ts'

/** DELETE /admin/keys/{id}: the key stops working at once. */
export const deleteKey: Operation = {
  tag: 'Admin keys',
  summary: 'Delete an admin key',
  description:
    'The key stops working at once. The last key with the scope `admin` stays, unless `ADMIN_KEY` is configured.',
  request: { params: keySchemas.path },
  answer: { description: 'The key was deleted', schema: keySchemas.deleted },
  refusals: ['not_found', 'conflict'],
  async handle(c, { store, clock }) {
    const id = percentDecoded(c.get('target').path.split('/').at(-1) ?? '')
    if (id === undefined) return refused(createProblem('not_found'))
    switch (await store.adminKeys.deleteAdminKey(id, clock())) {
      case 'deleted':
        return answered({ id })
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
const configuredKey = 'This key is the configured ADMIN_KEY: change it there, and start again.'
