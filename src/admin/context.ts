import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { RequestTarget } from '#admin/request/target.ts'
import type { UserWire } from '#admin/users/wire.ts'
import type { AdminKey } from '#core/admin-key.ts'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import type { ErrorCode, Problem } from '#core/errors.ts'
import type { BodyBudget } from '#http/body.ts'
import type { ClientAddress } from '#http/client-address.ts'
import type { Log } from '#http/log.ts'
import { renderProblem } from '#http/problem-answer.ts'
import type { Throttle } from '#http/throttle.ts'
import type { Store } from '#storage/store.ts'

/** What every handler of the control plane works with. */
export interface AdminParts {
  readonly store: Store
  readonly wire: UserWire
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  readonly throttle: Throttle
  readonly clientAddress: ClientAddress
  readonly bulkUsersMax: number
  readonly bodyBytesMax: number
  /** What bodies may hold while they are read, together with those of the other planes. */
  readonly bodyBudget?: BodyBudget
}

export interface AdminEnv {
  /** Absent where the app is called without a port, as tests do: read it as `c.env?.incoming`. */
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    target: RequestTarget
    /** The matched route's template, for the log. */
    route: string | undefined
    adminKey: AdminKey | undefined
    userId: string | undefined
    /** Why it was refused, for the log. */
    code: ErrorCode | undefined
  }
}

export type AdminContext = Context<AdminEnv>
export type AdminHandler = (c: AdminContext, parts: AdminParts) => Promise<Response>

export function answerJson(
  c: AdminContext,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return c.body(JSON.stringify(body), 200, { 'content-type': 'application/json', ...headers })
}

export function answerProblem(c: AdminContext, problem: Problem, now: number): Response {
  c.set('code', problem.code)
  const { status, headers, body } = renderProblem(problem, c.get('requestId'), now, {
    accept: c.req.header('accept'),
    patienceMs: Number.POSITIVE_INFINITY,
  })
  return new Response(body, { status, headers })
}
