import { createStoreUnavailable } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { type Answer, refuse } from '#http/answer.ts'
import { createPlainApp, type PlainApp, type PlainAppOptions } from '#http/plain-app.ts'
import { createThrottle, type Throttle } from '#http/throttle.ts'
import type { Visit } from '#http/visit.ts'
import { StoreUnavailable } from '#storage/store.ts'
import type { VerifierContext } from './context.ts'
import { letIn } from './credential.ts'
import { verifierRoutes } from './routes.ts'

export interface VerifierOptions
  extends Omit<VerifierContext, 'keyThrottle' | 'settleWaitMs'>,
    PlainAppOptions {
  readonly settleWaitMs?: number
  readonly keyThrottle?: Throttle
}

/** The plane for other gateways: they verify access tokens, reserve, and report usage here. */
export function createVerifier(options: VerifierOptions): PlainApp {
  const { clock, log } = options
  const context = { settleWaitMs: 1000, keyThrottle: createThrottle(clock), ...options }

  async function answerTo(visit: Visit): Promise<Answer> {
    const route = verifierRoutes.find(({ pattern }) => pattern.test(visit.path))
    if (!route) return refuse('not_found')
    visit.route = route.template
    const answer = await run(visit, route).catch((error: unknown) => failed(visit, error))
    return route.dress?.(answer, visit) ?? answer
  }

  async function run(visit: Visit, route: (typeof verifierRoutes)[number]): Promise<Answer> {
    const { request, path } = visit
    if (route.method !== 'ANY' && request.method !== route.method)
      return { ...refuse('method_not_allowed'), headers: { allow: route.method } }
    const refusal = await letIn(visit, route.keyOf(request.headers), context)
    if (refusal) {
      const { code } = refusal.problem
      log.warn({ requestId: visit.requestId, route: visit.route, code }, 'a gateway was refused')
      return refusal
    }
    return route.handle(visit, context, route.pattern.exec(path)?.[1] ?? '')
  }

  function failed({ requestId }: Visit, error: unknown): Answer {
    const isStore = error instanceof StoreUnavailable
    log.error({ requestId, err: error }, isStore ? 'the store cannot be asked' : 'a request failed')
    return isStore ? refused(createStoreUnavailable(clock())) : refuse('internal')
  }

  return createPlainApp(options, (url) => /^\/(?:auth|usage)(?:[/?]|$)/.test(url), answerTo)
}
