import { z } from 'zod'
import type { QuotaView } from '#core/admission.ts'
import type { Family } from '#core/family.ts'
import { toQuotaAnswer, toRateAnswer, toUserAnswer } from './answers-wire.ts'
import type { Verdict } from './asking.ts'
import { addressField, holderFault, holderFields, modelFields, mustBe, unitsField } from './fields-wire.ts'

export function createCheckSchema(families: readonly Family[]) {
  return z
    .object({
      ...holderFields,
      ...modelFields(families),
      address: addressField().optional(),
      units: unitsField().optional(),
    })
    .superRefine(mustBe(['token'], holderFault))
    .superRefine(
      mustBe(['model'], ({ model, family, units }) =>
        units !== undefined && model === undefined && family === undefined
          ? 'is required with units, or family'
          : undefined,
      ),
    )
}

export type CheckInput = z.output<ReturnType<typeof createCheckSchema>>

/** The state without the request that the question was about. */
export function toCheckAnswer(verdict: Verdict) {
  const { outcome } = verdict
  const hold = verdict.kind === 'admitted' ? verdict.outcome.hold : 0
  const said = {
    ...(outcome?.user && { user: toUserAnswer(outcome.user) }),
    ...(outcome?.quota && { quota: toQuotaAnswer(withoutHold(outcome.quota, hold)) }),
    ...(outcome?.rate && { rate: toRateAnswer(outcome.rate) }),
  }
  if (verdict.kind === 'admitted') return { valid: true, code: 'ok', message: 'It may be used.', ...said }
  const { code, message, limit, retryAt } = verdict.problem
  return {
    valid: false,
    code,
    message,
    ...said,
    ...(limit && { limit }),
    ...(retryAt !== undefined && { retryAt }),
  }
}

function withoutHold(quota: QuotaView, hold: number): QuotaView {
  return { ...quota, reserved: quota.reserved - hold }
}
