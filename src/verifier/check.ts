import type { AdmissionRequest } from '#core/admission.ts'
import { type Answer, answered } from '#http/answer.ts'
import type { Visit } from '#http/visit.ts'
import { ask } from './asking.ts'
import { type CheckInput, createCheckSchema, toCheckAnswer } from './check-wire.ts'
import type { VerifierContext } from './context.ts'
import { toFamily, toHolder } from './fields-wire.ts'
import { readParsed } from './request-body.ts'

/**
 * Says whether a user may make a request, and why not. The question is not counted, and its answer is 200 in both
 * cases.
 */
export async function check(visit: Visit, context: VerifierContext): Promise<Answer> {
  const reading = await readParsed(visit.request, context, createCheckSchema(context.policy.families))
  if (reading.kind === 'refused') return reading
  const { requestId, route } = visit
  const { address } = reading.value
  const question = {
    ...toHolder(reading.value),
    ...whatFor(reading.value, context),
    requestId,
    address,
    route,
    isMetered: false,
    isDry: true,
  }
  return answered(toCheckAnswer(await ask(question, address, visit, context)))
}

function whatFor(input: CheckInput, { policy }: VerifierContext): Pick<AdmissionRequest, 'pass' | 'units'> {
  const { model, units } = input
  const family = toFamily(input, policy.families)
  if (units === undefined)
    return { pass: { ...(model !== undefined && { model }), ...(family !== undefined && { family }) } }
  // Without a model the question names a family only, whose name then stands for the model.
  return { units: { model: model ?? family ?? '', family, input: units, output: 0, choices: 1 } }
}
