import { setTimeout as wait } from 'node:timers/promises'
import type { Settlement } from '#core/settlement.ts'
import { noUsage } from '#core/usage.ts'
import { type Answer, answered, refuse } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { timeOfSortableId } from '#lib/sortable-id.ts'
import type { VerifierContext } from './context.ts'
import { toUsage } from './fields-wire.ts'
import { readParsed } from './request-body.ts'
import { type CourseInput, releaseSchema, renewalSchema, settlementSchema } from './reservation-wire.ts'
import { reservationPrefix } from './reserve.ts'

/** Ends or extends a reservation: settled with its usage, released without, or renewed. */
export async function settle(visit: Visit, context: VerifierContext, id: string): Promise<Answer> {
  const reading = await readParsed(visit.request, context, settlementSchema)
  if (reading.kind === 'refused') return reading
  const { isEstimated, status = 200 } = reading.value
  const usage = toUsage(reading.value)
  const ending = { ending: 'settled', usage, isEstimated, status } as const
  return conclude(id, { ...courseOf(id, reading.value, context), ...ending }, context)
}

export async function release(visit: Visit, context: VerifierContext, id: string): Promise<Answer> {
  const reading = await readParsed(visit.request, context, releaseSchema, { empty: {} })
  if (reading.kind === 'refused') return reading
  const { status = 0 } = reading.value
  const ending = { ending: 'released', usage: noUsage, isEstimated: false, status } as const
  return conclude(id, { ...courseOf(id, reading.value, context), ...ending }, context)
}

export async function renew(visit: Visit, context: VerifierContext, id: string): Promise<Answer> {
  const reading = await readParsed(visit.request, context, renewalSchema, { empty: {} })
  if (reading.kind === 'refused') return reading
  if (madeAt(id) === undefined) return unknown
  const leaseUntil = context.clock() + reading.value.leaseSeconds * 1000
  switch (await context.metering.renewLease(id, leaseUntil)) {
    case 'renewed':
      return answered({ id, outcome: 'renewed', leaseUntil })
    case 'closed':
      return refuse('conflict', 'This reservation has ended.')
    case 'unknown':
      return unknown
  }
}

const unknown = refuse('not_found', 'This reservation does not exist.')

async function conclude(id: string, settlement: Settlement, context: VerifierContext): Promise<Answer> {
  if (madeAt(id) === undefined) return unknown
  const outcome = await withinWait(context.ledger.settle(settlement), context)
  return outcome === 'unknown' ? unknown : answered({ id, outcome }, outcome === 'accepted' ? 202 : 200)
}

/** A settlement is kept until it is booked, so while the store is unavailable the caller need not wait for that. */
async function withinWait<Outcome>(
  settling: Promise<Outcome>,
  { settleWaitMs }: VerifierContext,
): Promise<Outcome | 'accepted'> {
  const stop = new AbortController()
  const tooLong = wait(settleWaitMs, 'accepted' as const, { signal: stop.signal })
  // A wait that is ended is not a failure.
  tooLong.catch(() => undefined)
  const outcome = await Promise.race([settling, tooLong])
  stop.abort()
  return outcome
}

function courseOf(id: string, input: CourseInput, { clock }: VerifierContext) {
  const { errorCode, upstream, firstByteMs } = input
  return {
    requestId: id,
    durationMs: input.durationMs ?? Math.max(0, clock() - (madeAt(id) ?? clock())),
    ...(errorCode !== undefined && { errorCode }),
    ...(upstream !== undefined && { upstream }),
    ...(firstByteMs !== undefined && { firstByteMs }),
  }
}

function madeAt(id: string): number | undefined {
  return timeOfSortableId(reservationPrefix, id)
}
