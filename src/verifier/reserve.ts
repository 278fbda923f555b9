import { type Answer, answered } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { ask } from './asking.ts'
import type { VerifierContext } from './context.ts'
import { toFamily, toHolder } from './fields-wire.ts'
import { readParsed } from './request-body.ts'
import { createReservationSchema, toReservationAnswer } from './reservation-wire.ts'

/** Only entries with this prefix can be closed here: those of Tollgate's own gateway cannot be closed from outside. */
export const reservationPrefix = 'res_'

/**
 * Admits a request that another gateway will serve: by the same question, transaction and ledger entry as a request of
 * Tollgate's own gateway. A lease owns the entry instead of this process.
 */
export async function reserve(visit: Visit, context: VerifierContext): Promise<Answer> {
  const reading = await readParsed(visit.request, context, createReservationSchema(context.policy.families))
  if (reading.kind === 'refused') return reading
  const input = reading.value
  const now = context.clock()
  const family = toFamily(input, context.policy.families)
  const id = createSortableId(reservationPrefix, now)
  const leaseUntil = now + input.leaseSeconds * 1000
  const question = {
    ...toHolder(input),
    requestId: id,
    address: input.address,
    route: visit.route,
    isMetered: true,
    leaseUntil,
    units: {
      model: input.model ?? family ?? '',
      family,
      input: input.inputUnits,
      output: input.outputUnits,
      choices: input.choices,
    },
  }
  const verdict = await ask(question, input.address, visit, context)
  if (verdict.kind === 'refused') return verdict
  // The caller must still find its reservation after a loss of power.
  await verdict.outcome.durable
  const { outcome } = verdict
  return answered(toReservationAnswer(id, outcome.user, outcome, leaseUntil), 201)
}
