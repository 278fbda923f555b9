import { type Answer, answered } from '#admin/request/answer.ts'
import type { AdminParts } from '#admin/request/context.ts'
import type { User } from '#core/user.ts'
import { toQuotaAnswer } from './wire.ts'

/** The answer of every operation on one user's quotas: their current state. */
export function answerQuota({ policy, clock }: AdminParts, user: User, isReplay = false): Answer {
  return answered(toQuotaAnswer(user, policy, clock()), isReplay ? { 'idempotency-replayed': 'true' } : {})
}
