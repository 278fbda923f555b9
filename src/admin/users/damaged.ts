import type { Answer } from '#admin/request/answer.ts'
import type { AdminContext, AdminParts } from '#admin/request/context.ts'
import { createProblem, type Issue } from '#core/errors.ts'
import { issuesMax } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import type { UserRef } from '#core/user-ref.ts'
import { StoreFault } from '#storage/store.ts'

const message =
  'The stored row of this user is damaged, so that it cannot be compared or changed. DELETE without If-Match ' +
  'disables the user; the row has to be mended in the database.'
const messageOfMany =
  'The stored rows of some of these users are damaged, so that nothing was changed: leave these users out. DELETE ' +
  'without If-Match disables them; the rows have to be mended in the database.'

/** Works on one user, or says what is left to do if the stored row cannot be read. */
export async function unlessDamaged(
  c: AdminContext,
  parts: AdminParts,
  ref: UserRef,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreFault) || !(await isDamaged(ref, parts))) throw error
    logDamaged(c, parts, error)
    return refused(createProblem('conflict', message))
  }
}

/** Changes many users, or names those whose stored rows cannot be read; the first 100 of them. */
export async function unlessAnyDamaged(
  c: AdminContext,
  parts: AdminParts,
  refs: readonly UserRef[],
  change: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await change()
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error
    const issues: Issue[] = []
    for (const [index, ref] of refs.entries()) {
      if (issues.length === issuesMax) break
      if (await isDamaged(ref, parts))
        issues.push({ path: `users[${index}]`, message: 'the stored row of this user is damaged' })
    }
    if (issues.length === 0) throw error
    logDamaged(c, parts, error)
    return refused(createProblem('conflict', messageOfMany, { issues }))
  }
}

function logDamaged(c: AdminContext, { log }: AdminParts, err: StoreFault): void {
  log.error({ err, requestId: c.get('requestId') }, 'a user whose row cannot be read was not changed')
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
