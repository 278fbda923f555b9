import { type AdminHandler, answerJson, answerProblem } from '#admin/context.ts'
import { decodeSegment } from '#admin/request/target.ts'
import { createProblem } from '#core/errors.ts'

/** DELETE /admin/keys/{id}: the key opens nothing from now on. */
export const deleteKey: AdminHandler = async (c, { store, clock }) => {
  const now = clock()
  const id = decodeSegment(c.get('target').path.split('/').at(-1) ?? '')
  const outcome = id === undefined ? 'unknown' : await store.adminKeys.deleteAdminKey(id, now)
  switch (outcome) {
    case 'deleted':
      return answerJson(c, { id })
    case 'unknown':
      return answerProblem(c, createProblem('not_found'), now)
    case 'last': {
      const message = 'This is the last key that opens the admin API: make another one first.'
      return answerProblem(c, createProblem('conflict', message), now)
    }
    case 'configured': {
      const message = 'This key is the configured ADMIN_KEY: change it there, and start again.'
      return answerProblem(c, createProblem('conflict', message), now)
    }
  }
}
