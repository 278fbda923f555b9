import type { Refusal } from '#http/answer.ts'
import { createPlainApp, type PlainApp } from '#http/plain-app.ts'
import { createThrottle, type Throttle } from '#http/throttle.ts'
import type { Visit, VisitOptions } from '#http/visit.ts'
import { problemOfFailure } from '#storage/failure-problem.ts'
import type { VerifierContext } from './context.ts'
import { type GatewayNeed, letIn } from './credential.ts'
import { verifierRoutes } from './routes.ts'

export interface VerifierOptions extends Omit<VerifierContext, 'keyThrottle' | 'settleWaitMs'>, VisitOptions {
  readonly settleWaitMs?: number
  readonly keyThrottle?: Throttle
}

/** The plane for other gateways: they verify access tokens, reserve, and report usage here. */
export function createVerifier(options: VerifierOptions): PlainApp {
  const context = { settleWaitMs: 1000, keyThrottle: createThrottle(options.clock), ...options }

  async function admit(visit: Visit, asked: GatewayNeed): Promise<Refusal | undefined> {
    const refusal = await letIn(visit, asked, context)
    if (!refusal) return undefined
    const { requestId, route } = visit
    options.log.warn({ requestId, route, code: refusal.problem.code }, 'a gateway was refused')
    return refusal
  }

  return createPlainApp(options, {
    takes: (url) => /^\/(?:auth|usage)(?:[/?]|$)/.test(url),
    routes: verifierRoutes.map(({ need, keyOf, handle, ...route }) => ({
      ...route,
      guard: (visit) => admit(visit, { need, keyOf }),
      handle: (visit, id) => handle(visit, context, id),
    })),
    problemOf: problemOfFailure,
  })
}
