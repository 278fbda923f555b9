import { type Answer, answered } from '#http/answer.ts'
import { createPlainApp, type PlainApp } from '#http/plain-app.ts'
import type { Visit, VisitOptions } from '#http/visit.ts'

/**
 * For process supervisors and load balancers: `/healthz` says that the process runs, `/readyz` that it can admit
 * requests. `/readyz` is 503 from the beginning of a stop, so that a balancer uses other instances. Both answer from
 * known state: a probe costs the store nothing.
 */
export interface Health extends PlainApp {
  readonly stopping: () => void
}

/** For each part `ok`, or a sentence that says what is wrong, without address, path or secret. */
type Parts = Readonly<Record<string, string>>

interface Sources {
  /** The parts that an admission needs. */
  readonly parts: () => Parts
  /** What works less well than it should; shown beside `ready`, which it does not change. */
  readonly notes: () => readonly string[]
}

const probe = { methods: ['GET', 'HEAD'], isQuiet: true }

export function createHealth(options: VisitOptions, { parts, notes }: Sources): Health {
  let isStopping = false

  function readiness(visit: Visit): Answer {
    if (isStopping) {
      visit.code = 'shutting_down'
      return answered({ status: 'stopping', error: 'stopping' }, 503)
    }
    const known = parts()
    const wrong = new Set(Object.values(known).filter((words) => words !== 'ok'))
    const noted = notes()
    const more = { ...known, ...(noted.length > 0 && { notes: noted }) }
    if (wrong.size === 0) return answered({ status: 'ready', ...more })
    visit.code = 'store_unavailable'
    const error = `no request can be admitted: ${[...wrong].join('; ')}`
    return answered({ status: 'unavailable', error, ...more }, 503)
  }

  const app = createPlainApp(options, {
    takes: (url) => /^\/(healthz|readyz)(\?|$)/.test(url),
    routes: [
      { ...probe, template: '/healthz', pattern: /^\/healthz$/, handle: () => answered({ status: 'ok' }) },
      { ...probe, template: '/readyz', pattern: /^\/readyz$/, handle: readiness },
    ],
  })
  return {
    ...app,
    stopping: () => {
      isStopping = true
    },
  }
}
