import { type AdminHandler, answerJson, answerProblem } from '#admin/context.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { badInput } from '#core/issues.ts'
import { createAdminKey } from '#storage/admin-key-create.ts'
import { parseNewKey, toKey } from './wire.ts'

/** POST /admin/keys: a new key. Its secret is in this answer and in nothing that is kept. */
export const createKey: AdminHandler = async (c, parts) => {
  const { store, clock } = parts
  const reading = await readJsonBody(c, parts)
  const now = clock()
  if (reading.kind === 'refused') return answerProblem(c, reading.problem, now)
  const wanted = parseNewKey(reading.kind === 'empty' ? {} : reading.value, now)
  if (wanted.kind === 'invalid') return answerProblem(c, badInput(wanted.issues), now)
  const { key, secret } = await createAdminKey(store.adminKeys, wanted.value, now)
  return answerJson(c, { ...toKey(key), key: secret })
}
