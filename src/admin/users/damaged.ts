import type { Answer } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import type { UserRef } from '#core/user-ref.ts'
import { StoreFault } from '#storage/store.ts'

const message =
  'The stored row of this user is damaged, so that it cannot be compared or changed. DELETE without If-Match ' +
  'disables the user; the row has to be mended in the database.'

/** Changes one user, or says what is left to do where its stored row cannot be read. */
export async function unlessDamaged(
  c: AdminContext,
  parts: AdminParts,
  ref: UserRef,
  change: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await change()
  } catch (error) {
    if (!(error instanceof StoreFault) || !(await isDamaged(ref, parts))) throw error
    parts.log.error(
      { err: error, requestId: c.get('requestId') },
      'a user whose row cannot be read was not changed',
    )
    return refused(createProblem('conflict', message))
  }
}

/** The fault may be of what was to be written as well. */
async function isDamaged(ref: UserRef, { store, clock }: AdminParts): Promise<boolean> {
  try {
    await store.users.findUser(ref, clock())
    return false
  } catch (error) {
    if (error instanceof StoreFault) return true
    throw error
  }
}
