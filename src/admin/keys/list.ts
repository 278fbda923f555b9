import { type AdminHandler, answerJson } from '#admin/context.ts'
import { toKey } from './wire.ts'

/** GET /admin/keys: everyone's, oldest first; those that have expired are shown until they are deleted. */
export const listKeys: AdminHandler = async (c, { store }) => {
  const keys = await store.adminKeys.listAdminKeys()
  return answerJson(c, { keys: keys.map(toKey), count: keys.length })
}
