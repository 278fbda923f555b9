import { createHash } from 'node:crypto'
import { z } from 'zod'
import { createProblem, type Issue } from '#core/errors.ts'
import { badInput, issuesMax, issuesUnder } from '#core/issues.ts'
import { type Reading, refused } from '#core/reading.ts'
import type { UsageEvent, UsageEventOutcome } from '#core/usage-event.ts'
import { type Answer, answered, refuse } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { read } from '#lib/reading.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { createTurns } from '#lib/turns.ts'
import { StoreFault } from '#storage/store.ts'
import { binaryEvent, eventFormOf } from './cloud-event.ts'
import type { VerifierContext } from './context.ts'
import { createCloudEventSchema, createEventSchema, type ReportedUsage } from './event-wire.ts'
import { parse } from './fields-wire.ts'
import { mediaTypeOf, readJson } from './request-body.ts'

const eventsMax = 1000

/**
 * Books usage that was metered elsewhere. All events of a body are validated before the first is counted. Each counts
 * once, however often and by however many senders at once it is reported, so a sender that got no answer can report it
 * again.
 */
export async function report(visit: Visit, context: VerifierContext): Promise<Answer> {
  const reading = await readEvents(visit, context)
  if (reading.kind === 'refused') return reading
  const { events, isList } = reading.value
  const outcomes = await Promise.all(events.map((event) => countOne(event, visit, context)))
  if (outcomes.length === 1 && outcomes[0] === 'failed') return refuse('internal')
  if (!isList && outcomes[0] === 'unknown_user') return refuse('not_found', 'This user does not exist.')
  const countOf = (wanted: ReportOutcome) => outcomes.filter((outcome) => outcome === wanted).length
  return answered({
    counted: countOf('counted'),
    repeated: countOf('repeated'),
    unknown: countOf('unknown_user'),
    results: events.map(({ id }, index) => ({ id, outcome: outcomes[index] })),
  })
}

interface Events {
  readonly events: readonly ReportedUsage[]
  /** Whether they came as a list. */
  readonly isList: boolean
}

async function readEvents({ request }: Visit, context: VerifierContext): Promise<Reading<Events>> {
  const reading = await readJson(request, context, { list: { itemsMax: eventsMax } })
  if (reading.kind === 'refused') return reading
  const form = eventFormOf(request.headers, mediaTypeOf(request))
  const body = form === 'binary' ? binaryEvent(request.headers, reading.value) : reading.value
  const isList = Array.isArray(body) && form !== 'structured'
  if (isList && body.length > eventsMax)
    return refused(createProblem('body_too_large', `At most ${eventsMax} events are taken at once.`))
  const { families } = context.policy
  const schema = form === 'plain' ? createEventSchema(families) : createCloudEventSchema(families)
  if (isList) return parseEvents(schema, body)
  const parsed = form === 'batch' ? parse(z.array(schema), body) : parse(schema, body)
  if (parsed.kind === 'invalid') return refused(badInput(parsed.issues))
  return read({ events: [parsed.value].flat(), isList })
}

/**
 * One by one, so that other requests are served between them; stops where more issues are found than the answer holds.
 */
async function parseEvents(
  schema: z.ZodType<ReportedUsage>,
  values: readonly unknown[],
): Promise<Reading<Events>> {
  const events: ReportedUsage[] = []
  const issues: Issue[] = []
  const turn = createTurns()
  for (const [index, value] of values.entries()) {
    const parsed = parse(schema, value)
    if (parsed.kind === 'read') events.push(parsed.value)
    else issues.push(...issuesUnder(`[${index}]`, parsed.issues))
    if (issues.length > issuesMax) break
    await turn()
  }
  return issues.length > 0 ? refused(badInput(issues)) : read({ events, isList: true })
}

/** `kept`: the store cannot book it now, and it is set aside here; `failed`: the reporter has to send it again. */
type ReportOutcome = UsageEventOutcome | 'kept' | 'failed'

/** An event that cannot be booked does not affect the others. */
async function countOne(
  event: ReportedUsage,
  visit: Visit,
  context: VerifierContext,
): Promise<ReportOutcome> {
  try {
    return await context.ledger.count(toUsageEvent(event, visit, context))
  } catch (error) {
    if (error instanceof StoreFault) return 'failed'
    throw error
  }
}

function toUsageEvent(event: ReportedUsage, visit: Visit, { clock }: VerifierContext): UsageEvent {
  const { id, source, holder, upstream, happenedAt, ...figures } = event
  return {
    ...figures,
    ...holder,
    // Ids are unique for one sender only; another gateway may use the same id by chance.
    eventId: createHash('sha256').update(`${visit.adminKeyId}\n${source}\n${id}`).digest('hex'),
    requestId: createSortableId('evt_', clock()),
    route: visit.route,
    ...(upstream !== undefined && { upstream }),
    ...(happenedAt !== undefined && { happenedAt }),
  }
}
