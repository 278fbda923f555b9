import type { QuotaView, RateView } from '#core/admission.ts'
import type { AdmittedUser } from '#core/admission-ask.ts'
import { remainingOf } from '#core/user-quotas.ts'

/**
 * The user and the limits in the verifier's answers. Times in epoch milliseconds; a field that is not set is absent.
 */

export function toUserAnswer({ id, type, nickname, expiresAt }: AdmittedUser) {
  return {
    id,
    type,
    ...(nickname !== undefined && { nickname }),
    ...(expiresAt !== undefined && { expiresAt }),
  }
}

export function toQuotaAnswer(quota: QuotaView) {
  const { family, used, reserved, limit, resetAt } = quota
  return {
    family,
    used,
    reserved,
    ...(limit !== undefined && { limit, remaining: remainingOf(quota) }),
    ...(Number.isFinite(resetAt) && { resetAt }),
  }
}

export function toRateAnswer({ limit, remaining, resetAt }: RateView) {
  return { limit, remaining, resetAt }
}
