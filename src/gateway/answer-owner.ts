import type { Problem } from '#core/errors.ts'
import type { AdmittedRequest } from './admitted.ts'
import type { Attempts } from './attempts.ts'
import type { Delivery } from './delivery.ts'
import type { Ending, RelayContext } from './relay-context.ts'

/** The relay, as the answers of its upstreams see it. */
export interface AnswerOwner {
  readonly job: AdmittedRequest
  readonly context: RelayContext
  readonly delivery: Delivery
  readonly attempts: Attempts
  readonly isClientGone: boolean
  /** Whether the reservation is durable. No byte of an answer may reach the client before. */
  readonly isOnDisk: boolean
  /** The headers that every answer has. */
  readonly ownHeaders: () => string[]
  /** Whether another upstream may be tried: one is left, and the client is still connected. */
  readonly mayMoveOn: boolean
  /** Sends the request to the next upstream. What came of this one is forgotten. */
  readonly moveOn: () => void
  /** Retries a request that no upstream has taken; false if no upstream is left for it. */
  readonly sendElsewhere: (isStale: boolean) => boolean
  /** Counts what an upstream still sends after the client has disconnected. */
  readonly countDrained: (bytes: number) => void
  /** Books the request; the first call counts. */
  readonly settle: (ending: Ending) => Promise<unknown>
  readonly conclude: (ending: Ending) => void
  /** @param mayHaveCost the upstream failed while it may have been at work */
  readonly fail: (problem: Problem, mayHaveCost?: boolean) => void
}
