import {
  type AdmissionRequest,
  type Admitted,
  type Decision,
  letIn,
  type Policy,
  type QuotaView,
  type Refused,
  refuse,
} from '#core/admission.ts'
import type { LimitFacts } from '#core/errors.ts'
import { heldFor, needOf } from '#core/output-need.ts'
import { addUnits, sumMax, toNeed, unitsMax } from '#core/units.ts'
import { plainWeights } from '#core/weights.ts'
import { soonMs } from './counts.ts'

/**
 * With a limit the request has to fit. Without one it is never refused for its size, but it holds at most the bound of
 * a figure, and never so much that the sum of holds would saturate.
 */
export function decideQuota(
  view: QuotaView,
  asked: NonNullable<AdmissionRequest['units']>,
  { output: policy, weightsOf }: Policy,
  now: number,
): Decision {
  const weights = weightsOf?.(view.family)?.held ?? plainWeights
  const admit = (hold: number, outputCap?: number, outputMost?: number): Admitted => {
    const quota = { ...view, reserved: addUnits(view.reserved, hold) }
    return { ...letIn, hold, outputCap, outputMost, quota }
  }
  const { limit } = view
  if (limit === undefined) {
    const wanted = heldFor(
      asked,
      toNeed(asked.output ?? policy.unstated * Math.max(1, asked.choices)),
      weights,
    )
    return admit(Math.max(0, Math.min(wanted, unitsMax, sumMax - view.reserved)))
  }
  // A quota may be overdrawn; a request that needs no units (counting tokens) is admitted all the same.
  const left = Math.max(0, limit - view.used - view.reserved)
  const need = needOf(asked, left, policy, weights)
  if (need.units <= Math.min(left, unitsMax)) {
    const admitted = admit(need.units, need.cap, need.most)
    if (!need.advisor) return admitted
    const { uses, output } = need.advisor
    return { ...admitted, advisorMost: { uses, output } }
  }
  const fitsInto = (room: number) => needOf(asked, room, policy, weights).units <= Math.min(room, unitsMax)
  return refuseQuota(view, { ...need, isStated: asked.output !== undefined }, fitsInto, now)
}

/** The quota is used up: not even one unit would fit. */
export function refusePass(view: QuotaView, now: number): Refused {
  return refuseQuota(view, { units: 1, output: 0 }, (room) => room >= 1, now)
}

interface Needed {
  readonly units: number
  /** How much of it is output. */
  readonly output: number
  /** The request says how much output it asks for. */
  readonly isStated?: boolean
  /** The smallest bound of an answer that the provider accepts, where the need results from it. */
  readonly least?: number
  /** How much of it is for the advisor, where it has one. */
  readonly advisor?: { readonly units: number }
}

/** @param fitsInto whether the request would fit if this much were left */
function refuseQuota(
  view: QuotaView,
  { units: needed, output, isStated = true, least, advisor }: Needed,
  fitsInto: (left: number) => boolean,
  now: number,
): Refused {
  const { limit = 0, family, used, reserved, resetAt } = view
  // Only the holds of running requests are in the way: some of them are freed as soon as these end.
  const fitsSoon = reserved > 0 && fitsInto(limit - used)
  // Waiting for the next period helps only where the request fits into a whole one, without the units added for this
  // period.
  const fitsLater = Number.isFinite(resetAt) && fitsInto(limit - view.extra)
  const purpose = isStated
    ? `${output} of them for the output that it asks for`
    : `${output} of them for an answer`
  const ofOutput = output > 0 ? ` (${purpose})` : ''
  const held = reserved > 0 ? `, ${reserved} reserved by running requests` : ''
  const atLeast =
    least === undefined ? '' : ` The provider takes no bound below ${least} for an answer to this request.`
  const ofAdvisor =
    advisor === undefined
      ? ''
      : ` For one use of its advisor, which reads the conversation, ${advisor.units} of them are needed: ` +
        'remove the advisor from the tools, or lower max_tokens.'
  const reset = fitsLater ? ` It counts from zero at ${new Date(resetAt).toISOString()}.` : ''
  const message =
    `The ${family} quota does not allow this request: it needs up to ${needed} units${ofOutput}, ` +
    `${limit === 0 ? 'and its limit is 0' : `${used} of ${limit} are used${held}`}.${atLeast}${ofAdvisor}${reset}`
  const facts: LimitFacts = {
    name: 'quota',
    family,
    limit,
    used,
    reserved,
    needed,
    ...(output > 0 && { neededOutput: output }),
    ...(fitsLater && { resetAt }),
  }
  const refused = { ...refuse('quota_exceeded', message), quota: view, limit: facts }
  if (fitsSoon) return { ...refused, retryAt: now + soonMs }
  return fitsLater ? { ...refused, retryAt: resetAt } : refused
}
