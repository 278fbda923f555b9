import type { Admitted } from '#core/admission.ts'
import type { InputUnits } from '#core/input-kinds.ts'
import type { Form } from '#lib/form-fields.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import type { Endpoint, ModelRequest } from '#providers/provider.ts'
import type { Bar } from './relays.ts'
import type { Visit } from './visit.ts'

/** A request that was let in: everything its relay has to know. Its entry is open and wants a settlement. */
export interface AdmittedRequest {
  readonly visit: Visit
  readonly endpoint: Endpoint
  readonly userId: string
  /** When the user will be barred, where that is known already. */
  readonly bar: Bar | undefined
  readonly body: Buffer
  /** None where the body is a form. */
  readonly members: JsonMembers
  readonly form?: Form
  readonly request: ModelRequest
  readonly inputEstimate: number
  /** What each kind of content was estimated at; absent where the body does not hold all that is read. */
  readonly inputUnits: InputUnits | undefined
  readonly decision: Admitted
  /** When the reservation is on the disk; the answer may begin then. */
  readonly durable: Promise<void>
}
