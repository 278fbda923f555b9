import type { RequestListener } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { createProblem } from '#core/errors.ts'
import { linger } from '#http/linger.ts'
import { renderProblem } from '#http/problem-answer.ts'
import { createRequestId } from '#http/request-id.ts'
import { securityHeaders } from '#http/security-headers.ts'
import { type AdminOptions, createAdminApp } from './app.ts'

/**
 * The control plane as a listener of `node:http`. Requests that cannot be turned into a URL (without `Host`, with a
 * target that is not a path) never reach the app, and get the same error envelope here.
 */
export function createAdminListener(options: AdminOptions): RequestListener {
  const app = createAdminApp(options)
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    errorHandler(error) {
      const now = options.clock()
      const requestId = createRequestId(now)
      const isRequests = error instanceof Error && error.name === 'RequestError'
      const problem = createProblem(isRequests ? 'bad_request' : 'internal')
      const { code } = problem
      if (!isRequests) options.log.error({ err: error, requestId }, code)
      else options.log.info({ requestId, route: 'none', status: 400, code }, 'request')
      const { status, headers, body } = renderProblem(problem, requestId, now)
      return new Response(body, { status, headers: { ...securityHeaders, ...headers } })
    },
  })
  return (request, response) => {
    response.once('finish', () => linger(request))
    void listener(request, response)
  }
}
