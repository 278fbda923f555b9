import { OpenAPIHono } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { openReference } from '#admin/reference/pages.ts'
import { parseRequestTarget, queryFault } from '#admin/request/target.ts'
import { createUserWire } from '#admin/users/wire.ts'
import type { Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import type { BodyBudget } from '#http/body.ts'
import type { ClientAddress } from '#http/client-address.ts'
import type { Log } from '#http/log.ts'
import type { Throttle } from '#http/throttle.ts'
import { type Store, StoreUnavailable } from '#storage/store.ts'
import { authenticate } from './authenticate.ts'
import { type AdminEnv, type AdminParts, answerProblem } from './context.ts'
import { describeApi } from './openapi.ts'
import { describeOperations, parametersOf } from './operations.ts'
import { type AdminRoute, adminRoutes } from './routes.ts'
import { trace } from './trace.ts'

export interface AdminOptions {
  readonly store: Store
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Log
  readonly throttle: Throttle
  readonly clientAddress: ClientAddress
  /** How many users one bulk call may carry. */
  readonly bulkUsersMax: number
  readonly bodyBytesMax: number
  /** What bodies may hold while they are read, together with those of the other planes. */
  readonly bodyBudget?: BodyBudget
  /** The contract's text, served byte for byte. */
  readonly contractText: string
  readonly version: string
}

/**
 * The control plane. Routes are matched on the path as it was sent, since an access token in it may hold
 * anything; the schemas of @hono/zod-openapi describe and check, but its body validators are not used: they read
 * a body of any size before they look at it.
 */
export function createAdminApp(options: AdminOptions): Hono<AdminEnv> {
  const { contractText, version, ...rest } = options
  const { families, limits } = options.policy
  const parts: AdminParts = { ...rest, wire: createUserWire(families, limits) }
  const app = new OpenAPIHono<AdminEnv>({
    getPath: (request, { env } = {}) => rawPathOf(env, request.url),
  })
  app.use('*', trace(parts))
  app.use('/admin/*', authenticate(parts))
  const operations = describeOperations(parts.wire)
  for (const route of adminRoutes) {
    const operation = operations[route.operationId]
    addRoute(app, route, operation && parametersOf(operation), parts)
  }
  for (const page of openReference(contractText, describeApi(app, parts.wire, version))) {
    app.get(page.path, (c) => {
      c.set('route', page.path)
      return c.body(page.text, 200, { 'content-type': page.type, ...page.headers })
    })
    refuseOtherMethods(app, page.path, ['GET', 'HEAD'], parts)
  }
  for (const path of new Set(adminRoutes.map((route) => route.path))) {
    refuseOtherMethods(app, path, methodsOf(path), parts)
  }
  // Whoever opens the bare address in a browser is looking for a way in.
  app.get('/', (c) => {
    c.set('route', '/')
    return c.redirect('/docs', 302)
  })
  app.notFound((c) => answerProblem(c, createProblem('not_found'), parts.clock()))
  app.onError((error, c) => {
    const problem = problemOf(error, parts.clock())
    parts.log.error({ err: error, requestId: c.get('requestId'), route: c.get('route') }, problem.code)
    return answerProblem(c, problem, parts.clock())
  })
  return app
}

type App = OpenAPIHono<AdminEnv>

/** @param parameters which the query may hold; undefined where it is not looked at */
function addRoute(
  app: App,
  { method, path, handle }: AdminRoute,
  parameters: readonly string[] | undefined,
  parts: AdminParts,
): void {
  app.on(method.toUpperCase(), patternOf(path), async (c) => {
    c.set('route', path)
    const fault = parameters && queryFault(c.get('target').query, parameters)
    return fault ? answerProblem(c, badInput([fault]), parts.clock()) : handle(c, parts)
  })
}

/** Registered after the handlers, so that it takes what they left. */
function refuseOtherMethods(app: App, path: string, allowed: readonly string[], { clock }: AdminParts): void {
  app.all(patternOf(path), (c) => {
    c.set('route', path)
    const answer = answerProblem(c, createProblem('method_not_allowed'), clock())
    answer.headers.set('allow', allowed.join(', '))
    return answer
  })
}

function methodsOf(path: string): string[] {
  const methods = adminRoutes
    .filter((route) => route.path === path)
    .map((route) => route.method.toUpperCase())
  return methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

function patternOf(template: string): string {
  return template.replaceAll(/\{(\w+)\}/g, ':$1')
}

function rawPathOf(env: AdminEnv['Bindings'] | undefined, url: string): string {
  return parseRequestTarget(env?.incoming?.url ?? url).path
}

const storeRetryMs = 1000

function problemOf(error: unknown, now: number): Problem {
  if (error instanceof StoreUnavailable) {
    return createProblem('store_unavailable', undefined, { retryAt: now + storeRetryMs })
  }
  return createProblem('internal')
}
