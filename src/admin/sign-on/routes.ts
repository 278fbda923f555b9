import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import { z } from '@hono/zod-openapi'
import { renderRefusal } from '#admin/request/answer.ts'
import type { AdminContext, AdminEnv } from '#admin/request/context.ts'
import { sessionSchemas } from '#admin/sessions/schemas.ts'
import { createProblem } from '#core/errors.ts'
import { type SignOn, signOnCallbackPath, signOnPath } from '#core/sign-on.ts'
import { beginSignOn } from './begin.ts'
import { finishSignOn, type SignOnParts } from './finish.ts'

/**
 * The two routes of a sign-on, which no credential opens: the provider says who it is. They are for navigations of
 * browsers, and not in the list of routes with a need.
 */
export function addSignOn(app: OpenAPIHono<AdminEnv>, signOn: SignOn, parts: SignOnParts): void {
  const add = (path: string, handle: (c: AdminContext) => Promise<Response>) =>
    app.all(path, async (c) => {
      c.set('route', path)
      // HEAD too: it would use up the code.
      if (c.req.method === 'GET') return handle(c)
      const refusal = renderRefusal(c, createProblem('method_not_allowed'), parts.clock())
      refusal.headers.set('allow', 'GET')
      return refusal
    })
  add(signOnPath, (c) => beginSignOn(c, signOn, parts))
  add(signOnCallbackPath, (c) => finishSignOn(c, signOn, parts))
  for (const route of [begin, finish]) app.openAPIRegistry.registerPath(route)
}

const page = { 'text/html': { schema: z.string() } }

const begin: RouteConfig = {
  operationId: 'beginSignOn',
  method: 'get',
  path: signOnPath,
  tags: ['Sessions'],
  security: [],
  summary: 'Log in at the provider',
  description:
    'For browsers: sends them to the configured provider of OpenID Connect, and sets a cookie for ten minutes.',
  request: {
    query: z.object({
      returnTo: z
        .string()
        .max(512)
        .optional()
        .openapi({ description: 'The path to come back to; `/console` by default.' }),
    }),
  },
  responses: {
    302: { description: 'To the provider' },
    400: { description: '`bad_request`: `returnTo` is no path of this host.', content: page },
    502: { description: '`upstream_failed`: The provider cannot be reached.', content: page },
  },
}

const finish: RouteConfig = {
  operationId: 'finishSignOn',
  method: 'get',
  path: signOnCallbackPath,
  tags: ['Sessions'],
  security: [],
  summary: 'Come back from the provider',
  description:
    'Opens a session with the scopes of the person’s groups. A browser gets a page that goes on to `returnTo`, another ' +
    'client the session as JSON. 403 where no group allows anything.',
  request: {
    query: z.object({
      code: z.string().optional(),
      state: z.string().optional(),
      error: z.string().optional(),
    }),
  },
  responses: {
    200: {
      description: 'The session',
      content: { ...page, 'application/json': { schema: sessionSchemas.answer } },
    },
    400: { description: '`bad_request`: No sign-on of this browser waits for it.', content: page },
    403: { description: '`forbidden`: The person may not log in.', content: page },
    429: { description: '`throttled`: Too many wrong credentials from this address.', content: page },
    502: { description: '`upstream_failed`: The provider cannot be reached.', content: page },
  },
}
