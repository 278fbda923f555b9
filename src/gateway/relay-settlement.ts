import { errorTable } from '#core/errors.ts'
import type { Settlement } from '#core/settlement.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { AdmittedRequest } from './admitted.ts'
import { apportion } from './apportion.ts'
import { type Charge, chargeOf, type Figures, isSuccess, shownOf } from './charge.ts'
import type { Ending, RelayContext } from './relay-context.ts'

/** What is known of a relay when it ends. */
export interface RelayCourse {
  readonly figures: Figures
  readonly isStream: boolean
  /** The request was handed to an upstream, so it may have cost something. */
  readonly wasSent: boolean
  /** The upstream's status; 0 where it gave none. */
  readonly upstreamStatus: number
  /** The upstream that was tried last. */
  readonly upstream: Upstream | undefined
  /** `performance.now()` at the answer's first byte. */
  readonly firstByteAt: number | undefined
  readonly isClientGone: boolean
  /** The client may have received bytes of an answer. */
  readonly hasStarted: boolean
}

/** The settlement of a relay's entry. On the way the estimates of later requests are corrected by the figures. */
export function settlementOf(
  job: AdmittedRequest,
  course: RelayCourse,
  ending: Ending,
  { corrections, families }: Pick<RelayContext, 'corrections' | 'families'>,
): Settlement {
  const { visit, endpoint, inputEstimate, request, decision } = job
  const { outputMost } = decision
  const { figures, wasSent, upstreamStatus, upstream, firstByteAt } = course
  const whole = chargeOf(
    {
      isMetered: endpoint.isMetered,
      isByRequest: endpoint.isByRequest,
      wasSent,
      upstreamStatus,
      wasCutShort: ending.kind === 'failed' ? ending.mayHaveCost : ending.kind !== 'complete',
      inputEstimate,
      outputBound:
        outputMost === undefined || !request.hasOutput ? request.output : outputMost * request.choices,
      // Another model may have answered, whose factor is unknown.
      hiddenFactor: figures.models ? 1 : corrections.factorsOf(request.model).hidden,
    },
    figures,
  )
  learnFrom(job, whole, course, corrections)
  const charge = figures.models ? apportion(whole, figures.models, { request, families, upstream }) : whole
  const errorCode = errorCodeOf(course, ending)
  return {
    requestId: visit.requestId,
    ...charge,
    status: statusOf(course, ending),
    ...(errorCode !== undefined && { errorCode }),
    ...(upstream && { upstream: upstream.name }),
    durationMs: Math.round(performance.now() - visit.arrivedAt),
    ...(firstByteAt !== undefined && { firstByteMs: Math.round(firstByteAt - visit.arrivedAt) }),
  }
}

function learnFrom(
  { inputUnits, request, userId }: AdmittedRequest,
  { ending, isEstimated, usage }: Charge,
  { figures: { models, passed }, isStream }: RelayCourse,
  corrections: RelayContext['corrections'],
): void {
  if (ending !== 'settled' || isEstimated) return
  const { model } = request
  const real = usage.input + usage.cacheRead + usage.cacheWritten
  if (inputUnits) corrections.learn({ userId, model, units: inputUnits, real })
  if (isStream && !models) corrections.learnHidden({ userId, model, ...shownOf(usage, passed) })
}

/** The status that the client gets, or got; 0 if it gets no answer. */
function statusOf({ hasStarted, isClientGone, upstreamStatus }: RelayCourse, ending: Ending): number {
  if (hasStarted || (ending.kind === 'complete' && !isClientGone)) return upstreamStatus
  if (isClientGone || !('problem' in ending)) return 0
  return errorTable[ending.problem.code].status
}

function errorCodeOf(
  { isClientGone, figures, upstreamStatus }: RelayCourse,
  ending: Ending,
): string | undefined {
  if ('problem' in ending) return ending.problem.code
  if (isClientGone) return 'client_gone'
  return figures.isError && isSuccess(upstreamStatus) ? 'upstream_failed' : undefined
}
