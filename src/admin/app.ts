import { OpenAPIHono } from '@hono/zod-openapi'
import type { Hono } from 'hono'
import { type ConsoleFiles, openConsoleFiles } from '#admin/console/files.ts'
import { sendConsole } from '#admin/console/send.ts'
import { openReference } from '#admin/reference/pages.ts'
import { type Answer, render, renderRefusal } from '#admin/request/answer.ts'
import { authenticate, type Guard } from '#admin/request/authenticate.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext, AdminEnv, AdminParts } from '#admin/request/context.ts'
import { createFailedLogins } from '#admin/request/failed-logins.ts'
import { parseRequestTarget, queryFault } from '#admin/request/target.ts'
import { asGuess, tokenInPath } from '#admin/request/token-guess.ts'
import { trace } from '#admin/request/trace.ts'
import { addSignOn } from '#admin/sign-on/routes.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import { problemOfFailure } from '#storage/failure-problem.ts'
import { describeApi } from './openapi.ts'
import { parametersOf } from './operation.ts'
import { type AdminRoute, createAdminRoutes } from './routes.ts'

export interface AdminOptions extends AdminParts {
  /** The text of the contract, served byte for byte. */
  readonly contractText: string
}

/**
 * The control plane. Routes are matched on the path as it was sent, since an access token in it may hold any
 * characters. The schemas of @hono/zod-openapi describe and check, but its body validators are not used: they read a
 * body of any size before they check it.
 */
export function createAdminApp(options: AdminOptions): Hono<AdminEnv> {
  const { contractText, ...parts } = options
  const app = new OpenAPIHono<AdminEnv>({
    getPath: (request, { env } = {}) => rawPathOf(env, request.url),
  })
  app.use('*', trace(parts))
  const routes = createAdminRoutes(parts.policy)
  const noteFailure = createFailedLogins(parts)
  // Before the routes: `{id}` of a session would take its paths.
  if (parts.signOn) addSignOn(app, parts.signOn, { ...parts, noteFailure })
  const guard = (asked: Guard) => authenticate({ ...parts, noteFailure }, asked)
  for (const route of routes) addRoute(app, route, guard(route), parts)
  // What no route of the list takes: other methods, and unknown paths.
  app.use('/admin/*', guard({ need: 'any' }))
  for (const page of openReference(contractText, describeApi(app, routes, parts.facts.version))) {
    app.get(page.path, (c) => {
      c.set('route', page.path)
      return c.body(page.text, 200, { 'content-type': page.type, ...page.headers })
    })
    refuseOtherMethods(app, page.path, ['GET', 'HEAD'], parts)
  }
  for (const [path, beside] of Map.groupBy(routes, (route) => route.path)) {
    refuseOtherMethods(app, path, beside.flatMap(methodsOf), parts)
  }
  const console = openConsoleFiles()
  if (console) addConsole(app, console, parts)
  else app.get('/console', (c) => c.redirect('/docs', 302))
  // A browser at the bare address is sent to a page for people.
  app.get('/', (c) => {
    c.set('route', '/')
    return c.redirect(console ? '/console' : '/docs', 302)
  })
  app.notFound((c) => renderRefusal(c, createProblem('not_found'), parts.clock()))
  app.onError((error, c) => {
    const problem = problemOfFailure(error, parts.clock())
    parts.log.error({ err: error, requestId: c.get('requestId'), route: c.get('route') }, problem.code)
    return renderRefusal(c, problem, parts.clock())
  })
  return app
}

function noteTokensShown(c: AdminContext, parts: AdminParts, { kind }: Answer): void {
  const shown = c.get('tokensShown')
  // The answer to HEAD has no body.
  if (shown === undefined || shown.length === 0 || kind === 'refused' || c.req.method === 'HEAD') return
  parts.tokenReadings.note(byOf(c, parts), shown, c.req.method === 'GET')
}

type App = OpenAPIHono<AdminEnv>

/** The only way to a handler: behind the guard that is made from its need. */
function addRoute(
  app: App,
  route: AdminRoute,
  guard: ReturnType<typeof authenticate>,
  parts: AdminParts,
): void {
  const { method, path, handle } = route
  const parameters = parametersOf(route)
  app.on(method.toUpperCase(), patternOf(path), guard, async (c) => {
    c.set('route', path)
    const fault = parameters && queryFault(c.get('target').query, parameters)
    const work = () => handle(c, parts)
    const answer = fault ? refused(badInput([fault])) : await asGuess(c, parts, tokenInPath(c, path), work)
    noteTokensShown(c, parts, answer)
    return render(c, answer, parts.clock())
  })
}

/** The page for administrators. It is public and holds no data: what it shows, it asks for with the session's cookie. */
function addConsole(app: App, files: ConsoleFiles, parts: AdminParts): void {
  for (const path of ['/console', '/console/*']) {
    app.get(path, (c) => {
      c.set('route', '/console')
      return sendConsole(c, files) ?? renderRefusal(c, createProblem('not_found'), parts.clock())
    })
    refuseOtherMethods(app, path, ['GET', 'HEAD'], parts)
  }
}

/** Registered after the handlers, so that it gets only what no handler took. */
function refuseOtherMethods(app: App, path: string, allowed: readonly string[], { clock }: AdminParts): void {
  app.all(patternOf(path), (c) => {
    c.set('route', path)
    const answer = renderRefusal(c, createProblem('method_not_allowed'), clock())
    answer.headers.set('allow', allowed.join(', '))
    return answer
  })
}

function methodsOf({ method }: AdminRoute): readonly string[] {
  return method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]
}

function patternOf(template: string): string {
  return template.replaceAll(/\{(\w+)\}/g, ':$1')
}

function rawPathOf(env: AdminEnv['Bindings'] | undefined, url: string): string {
  return parseRequestTarget(env?.incoming?.url ?? url).path
}
