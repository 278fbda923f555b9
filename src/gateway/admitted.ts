import type { Admitted } from '#core/admission.ts'
import type { InputUnits } from '#core/input-kinds.ts'
import type { Form } from '#lib/form-fields.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import type { ModelRequest } from '#providers/model-request.ts'
import type { ClientEndpoint, Provider, UpstreamEndpoint } from '#providers/provider.ts'
import type { Block } from './relays.ts'
import type { Visit } from './visit.ts'

/** An admitted request with all that its relay needs. Its entry is open and must be settled. */
export interface AdmittedRequest {
  readonly visit: Visit
  /** The operation that the client called. */
  readonly endpoint: ClientEndpoint
  /** The protocol in which upstreams are asked, and its operation. */
  readonly upstreamProvider: Provider
  readonly upstreamEndpoint: UpstreamEndpoint
  readonly userId: string
  readonly accessToken: string
  /** The coming block of its user, if its time is known already. */
  readonly block: Block | undefined
  /** The end of its access token, where that was rotated. */
  readonly tokenEnd: Block | undefined
  /** The front end that the user asked through, and its coming block. */
  readonly frontEndId: string | undefined
  readonly frontEndBlock: Block | undefined
  readonly body: Buffer
  /** Empty if the body is a form. */
  readonly members: JsonMembers
  readonly form?: Form | undefined
  readonly request: ModelRequest
  readonly inputEstimate: number
  /** The estimate for each kind of content; absent if the body does not hold all of the model's input. */
  readonly inputUnits: InputUnits | undefined
  readonly decision: Admitted
  /** Resolves when the reservation is durable. The answer must not begin before. */
  readonly durable: Promise<void>
}
