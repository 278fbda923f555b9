import { z } from 'zod'
import type { Admitted } from '#core/admission.ts'
import type { AdmittedUser } from '#core/admission-ask.ts'
import type { Family } from '#core/family.ts'
import { unitsMax } from '#core/units.ts'
import { toQuotaAnswer, toRateAnswer, toUserAnswer } from './answers-wire.ts'
import {
  addressField,
  holderFault,
  holderFields,
  lineField,
  modelFields,
  mustBe,
  statusField,
  unitsField,
  usageFault,
  usageFields,
  wholeField,
} from './fields-wire.ts'

const leaseSecondsDefault = 600

function leaseField() {
  return wholeField(10, 86_400).default(leaseSecondsDefault)
}

export function createReservationSchema(families: readonly Family[]) {
  return z
    .object({
      ...holderFields,
      ...modelFields(families),
      address: addressField().optional(),
      inputUnits: unitsField(),
      outputUnits: unitsField().optional(),
      choices: wholeField(1, 128).default(1),
      leaseSeconds: leaseField(),
    })
    .superRefine(mustBe(['token'], holderFault))
    .superRefine(
      mustBe(['model'], ({ model, family }) =>
        model === undefined && family === undefined ? 'is required, or family' : undefined,
      ),
    )
}

/** A duration; parts of a millisecond are kept. */
function millisecondsField() {
  const error = `must be milliseconds from 0 to ${unitsMax}`
  return z.number({ error }).min(0, error).max(unitsMax, error)
}

/** The fields about the request that every end of a reservation may have. */
const courseFields = {
  status: statusField().optional(),
  errorCode: lineField(80).optional(),
  upstream: lineField(80).optional(),
  durationMs: millisecondsField().optional(),
  firstByteMs: millisecondsField().optional(),
}

export const settlementSchema = z
  .object({ ...usageFields, ...courseFields, isEstimated: z.boolean().default(false) })
  .superRefine(mustBe(['usage'], usageFault))

export const releaseSchema = z.object(courseFields)

export type CourseInput = z.output<typeof releaseSchema>

export const renewalSchema = z.object({ leaseSeconds: leaseField() })

export function toReservationAnswer(
  id: string,
  user: AdmittedUser | undefined,
  { hold, outputCap, quota, rate }: Admitted,
  leaseUntil: number,
) {
  return {
    id,
    leaseUntil,
    hold,
    ...(outputCap !== undefined && { outputCap }),
    ...(user && { user: toUserAnswer(user) }),
    ...(quota && { quota: toQuotaAnswer(quota) }),
    ...(rate && { rate: toRateAnswer(rate) }),
  }
}
