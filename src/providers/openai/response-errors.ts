import type { Problem } from '#core/errors.ts'
import { errorOf, renderStreamProblem } from './errors.ts'

/** Problems in the format of `/v1/responses`, whose clients expect more members than those of other endpoints. */

/**
 * Codex recognises a spent quota by this type, and prints `resets_at` (epoch seconds). It reports any other 429 as an
 * insufficient plan. The time is sent if waiting for it helps.
 */
export function renderResponseProblem(problem: Problem): string {
  return JSON.stringify({ error: responseError(problem) })
}

function responseError(problem: Problem) {
  const error = errorOf(problem)
  if (problem.code !== 'quota_exceeded') return error
  const { retryAt } = problem
  const resets = retryAt === undefined ? {} : { resets_at: Math.ceil(retryAt / 1000) }
  return { ...error, type: 'usage_limit_reached', ...resets }
}

/** Higher than the number of every earlier event; events are not counted. */
const lastNumber = 2 ** 31 - 1

/**
 * The stream ends with a failed response, which Codex looks for, and then with the error that the official clients raise.
 * Their helpers expect one response id from beginning to end, so the id is taken from `opening`, the first bytes that
 * were sent. If no bytes were sent, the response is begun first.
 */
export function renderResponseStreamProblem(problem: Problem, requestId: string, opening: Buffer): string {
  const { message, code } = errorOf(problem)
  const response = { id: idIn(opening) ?? `resp_${requestId}`, object: 'response', output: [], usage: null }
  const begun = { ...response, status: 'in_progress', error: null }
  const failed = { ...response, status: 'failed', error: { code: code ?? problem.code, message } }
  return [
    ...(opening.length === 0 ? [event('response.created', 0, begun)] : []),
    event('response.failed', lastNumber, failed),
    renderStreamProblem(problem),
  ].join('')
}

function event(type: string, sequence_number: number, response: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number, response })}\n\n`
}

/** The provider's first event begins a response with its id. */
function idIn(opening: Buffer): string | undefined {
  return /"response"\s*:\s*\{\s*"id"\s*:\s*"([^"\\]{1,200})"/.exec(opening.toString('latin1'))?.[1]
}
