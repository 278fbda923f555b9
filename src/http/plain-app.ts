import type { RequestListener } from 'node:http'
import { createProblem, errorTable, type Problem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { type Answer, type Refusal, refuse, refuseMethod } from './answer.ts'
import { renderProblem } from './problem-answer.ts'
import { securityHeaders } from './security-headers.ts'
import { live, sendWhole, Visit, type VisitOptions } from './visit.ts'

/** A plane of short JSON answers on `node:http`. */
export interface PlainApp {
  /** Whether a request's target (`request.url`) is this app's. */
  readonly takes: (url: string) => boolean
  readonly handle: RequestListener
}

export interface PlainRoute {
  /** Absent: any. */
  readonly methods?: readonly string[]
  /** For the log and the ledger. */
  readonly template: string
  /** Of the whole path. */
  readonly pattern: RegExp
  /** Runs before the body is read; returns the refusal of a request that may not come in. */
  readonly guard?: (visit: Visit) => Promise<Refusal | undefined>
  /**
   * May set user, key and code of the visit.
   * @param id the value of the pattern's group
   */
  readonly handle: (visit: Visit, id: string) => Answer | Promise<Answer>
  /** Changes every answer of the route, also those of its guard and of a failure. */
  readonly dress?: ((answer: Answer, visit: Visit) => Answer) | undefined
  /** Its good answers are logged at debug level only. */
  readonly isQuiet?: boolean
}

export interface PlainPlane {
  readonly takes: PlainApp['takes']
  readonly routes: readonly PlainRoute[]
  /** The problem of a request whose handler rejected; `internal` by default. `now` in epoch milliseconds. */
  readonly problemOf?: (error: unknown, now: number) => Problem
}

/** Handles each request from its arrival to its log line; the answer is a value until it is sent. */
export function createPlainApp(options: VisitOptions, { takes, routes, problemOf }: PlainPlane): PlainApp {
  const { clock, log } = options

  async function answerTo(visit: Visit): Promise<Answer> {
    const route = routes.find(({ pattern }) => pattern.test(visit.path))
    if (!route) return refuse('not_found')
    visit.route = route.template
    visit.isQuiet = route.isQuiet ?? false
    const answer = await run(visit, route).catch((error: unknown) => failed(visit, error))
    return route.dress?.(answer, visit) ?? answer
  }

  async function run(visit: Visit, { methods, pattern, guard, handle }: PlainRoute): Promise<Answer> {
    const { request, path } = visit
    if (methods && !methods.includes(request.method ?? '')) return refuseMethod(methods)
    return (await guard?.(visit)) ?? handle(visit, pattern.exec(path)?.[1] ?? '')
  }

  function failed({ requestId, route }: Visit, err: unknown): Answer {
    const problem = problemOf?.(err, clock()) ?? createProblem('internal')
    log.error({ requestId, route, err }, problem.code)
    return refused(problem)
  }

  function send(visit: Visit, answer: Answer): void {
    const { requestId, request } = visit
    if (answer.kind === 'refused') {
      const { problem, patienceMs, status = errorTable[problem.code].status } = answer
      visit.code = problem.code
      const caller = { accept: request.headers.accept, ...(patienceMs !== undefined && { patienceMs }) }
      const { headers, body } = renderProblem(problem, requestId, clock(), caller)
      sendWhole(visit, status, { ...securityHeaders, ...headers, ...answer.headers }, body)
    } else {
      const { status, headers, body, text = '' } = answer
      const own = { ...securityHeaders, 'cache-control': 'no-store', 'x-request-id': requestId }
      const type = body && { 'content-type': 'application/json' }
      sendWhole(visit, status, { ...own, ...type, ...headers }, body ? JSON.stringify(body) : text)
    }
  }

  return {
    takes,
    handle(request, response) {
      live(
        new Visit(request, response, options),
        log,
        async (visit) => send(visit, await answerTo(visit)),
        (visit) => send(visit, refuse('internal')),
      )
    },
  }
}
