/** Headers of an answer as undici hands them over: lower-case names, a list where a name came more than once. */
export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * How long an answer asks to wait, in milliseconds from `now`: `retry-after` in seconds or as a date (RFC 9110,
 * 10.2.3), or the finer `retry-after-ms` that some send beside it. Undefined where it does not say.
 */
export function retryAfterMs(headers: AnswerHeaders, now: number): number | undefined {
  const fine = numberOf(headers['retry-after-ms'])
  if (fine !== undefined) return fine
  const plain = headers['retry-after']
  const seconds = numberOf(plain)
  if (seconds !== undefined) return seconds * 1000
  if (typeof plain !== 'string') return undefined
  const at = Date.parse(plain)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

function numberOf(value: string | string[] | undefined): number | undefined {
  return typeof value === 'string' && /^\d{1,12}(\.\d+)?$/.test(value.trim()) ? Number(value) : undefined
}
