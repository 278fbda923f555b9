import type { AdmissionAsk } from '#core/admission-ask.ts'
import { type Family, familyOf } from '#core/family.ts'
import type { AskedPerson } from '#core/front-end.ts'
import { toUnits } from '#core/units.ts'
import { type ModelsElsewhere, mayStray } from '#providers/models-elsewhere.ts'
import type { ParsedRequest } from './parsed-request.ts'
import type { Visit } from './visit.ts'

/** The question whether a request is admitted, with the units that are reserved for it. */
export function askOf(
  visit: Visit,
  accessToken: string,
  parsed: ParsedRequest,
  isUnnamed: boolean,
  person: AskedPerson | 'unread',
  families: readonly Family[],
): AdmissionAsk {
  const { model, output, choices, leastCap, mostCap, hasOutput, elsewhere, advisor } = parsed.request
  const { endpoint } = parsed
  const isBounded = endpoint.isMetered && hasOutput
  const outputAmongInput = endpoint.isMetered && !hasOutput ? (output ?? 0) : 0
  return {
    requestId: visit.requestId,
    address: visit.address,
    route: visit.route,
    accessToken,
    isMetered: endpoint.isMetered,
    person,
    units: {
      model,
      family: familyOf(model, families),
      isUnnamed,
      // Output that the request cannot bound is reserved as a part of the input, since the reserved output may be
      // lowered.
      input: toUnits(parsed.input + outputAmongInput),
      outputAmongInput: outputAmongInput > 0 ? outputAmongInput : undefined,
      output: isBounded ? output : 0,
      choices,
      leastCap,
      mostCap,
      mayLower: true,
      advisor: isBounded ? advisor : undefined,
      elsewhere: mayStray(elsewhere) ? toFamilies(elsewhere, families) : undefined,
    },
  }
}

function toFamilies({ names, isOpen }: ModelsElsewhere, families: readonly Family[]) {
  return { models: names.map((model) => ({ model, family: familyOf(model, families) })), isOpen }
}
