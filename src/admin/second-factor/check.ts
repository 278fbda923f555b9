import type { AdminParts } from '#admin/request/context.ts'
import type { AdminKey } from '#core/admin-key.ts'
import type { By } from '#core/change.ts'
import { createProblem, createThrottled, type Problem } from '#core/errors.ts'
import { stepOf, toRecoveryCode } from './codes.ts'

/**
 * The problem of a request of a key that has a second factor; undefined where the code is right, or the key has none. A
 * right code is taken: it opens one session, also where two logins come at once, on whatever instance.
 */
export async function checkSecondFactor(
  key: AdminKey,
  code: string | undefined,
  { store }: Pick<AdminParts, 'store'>,
  by: By,
): Promise<Problem | undefined> {
  if (key.secondFactorAt === undefined) return undefined
  if (code === undefined || code === '') return createProblem('code_needed')
  const { secondFactors } = store
  const attempt = await secondFactors.takeAttempt(key.id, by.now)
  switch (attempt.kind) {
    case 'unknown':
      // Removed since the key was found: the next attempt needs no code.
      return createProblem('wrong_code')
    case 'locked':
      return createThrottled(attempt.waitMs, by.now)
    case 'may': {
      const step = await stepOf(attempt.factor, code, by.now)
      const isTaken =
        step === undefined
          ? await secondFactors.takeRecoveryCode(key.id, toRecoveryCode(code), by)
          : await secondFactors.takeStep(key.id, step)
      if (isTaken) return undefined
      await secondFactors.noteWrongCode(key.id, by)
      return createProblem('wrong_code')
    }
  }
}
