import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { AdminKey } from '#core/admin-key.ts'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import type { ErrorCode } from '#core/errors.ts'
import type { Session, SessionTimes } from '#core/session.ts'
import type { ShownSetting } from '#core/shown-setting.ts'
import type { SignOn } from '#core/sign-on.ts'
import type { BodyBudget } from '#http/body.ts'
import type { ClientAddress } from '#http/client-address.ts'
import type { Log } from '#http/log.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Store } from '#storage/store.ts'
import type { RequestTarget } from './target.ts'
import type { ShownTokens, TokenReadings } from './token-readings.ts'

/** What administrators may know of the instance that answers. */
interface InstanceFacts {
  readonly version: string
  /** What is set and has no effect, in sentences. */
  readonly notes: readonly string[]
  readonly settings: readonly ShownSetting[]
}

/** What every handler of the control plane needs. */
export interface AdminParts {
  readonly store: Store
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  /** For wrong admin keys. */
  readonly throttle: Throttle
  /** For access tokens that a key names in vain which sees them masked. */
  readonly namedTokens: Throttle
  /** Notes that an admin key has opened something. */
  readonly keyUsed: (id: string) => void
  readonly clientAddress: ClientAddress
  /** Notes that an answer shows access tokens in clear. */
  readonly tokenReadings: Pick<TokenReadings, 'note'>
  readonly facts: InstanceFacts
  /** The address under which holders reach this server, without a final slash; absent: as the request itself names it. */
  readonly publicUrl?: string | undefined
  /** The pages for holders have another listener than the admin API. */
  readonly isApart?: boolean
  readonly sessionTimes: SessionTimes
  /** The sign-on by a provider; absent: it is not configured. */
  readonly signOn?: SignOn | undefined
  /** The maximum number of users in one bulk call. */
  readonly bulkUsersMax: number
  readonly bodyBytesMax: number
  /** The memory that request bodies may use while they are read, shared with the other planes. */
  readonly bodyBudget?: BodyBudget
}

export interface AdminEnv {
  /** Absent where the app is called without a socket, as tests do: read it as `c.env?.incoming`. */
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    target: RequestTarget
    /** The matched route's template, for the log. */
    route: string | undefined
    /** The key that was presented, or that of the session. */
    adminKey: AdminKey | undefined
    session: Session | undefined
    userId: string | undefined
    /** The users whose access tokens the answer shows in clear. */
    tokensShown: ShownTokens | undefined
    /** The code of the refusal, for the log. */
    code: ErrorCode | undefined
  }
}

export type AdminContext = Context<AdminEnv>
