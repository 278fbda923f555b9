import { besideMax, type Settlement } from '#core/settlement.ts'
import { isUnits } from '#core/units.ts'

/**
 * Reads a settlement back that was written as a line of JSON. A version without bounds may have written it, so its
 * figures are checked. A line that is not a settlement within the bounds is left to the operator.
 */
export function parseSettlement(line: string): Settlement | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isSettlement(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isSettlement(value: unknown): value is Settlement {
  if (!isRecord(value)) return false
  const { requestId, ending, usage, status, durationMs } = value
  return (
    isText(requestId) &&
    (ending === 'settled' || ending === 'released' || ending === 'abandoned') &&
    isUsage(usage) &&
    typeof value.isEstimated === 'boolean' &&
    isUnits(status) &&
    isDuration(durationMs) &&
    isAbsentOr(value.firstByteMs, isDuration) &&
    isAbsentOr(value.errorCode, isText) &&
    isAbsentOr(value.upstream, isText) &&
    isAbsentOr(value.opened, isOpened) &&
    isAbsentOr(value.extras, isRecord) &&
    isAbsentOr(value.beside, areBeside)
  )
}

function isOpened(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { userId, route, family, model, isMetered, inputEstimate, startedAt } = value
  return (
    [userId, route, family, model].every(isText) &&
    isAbsentOr(value.frontEndId, isText) &&
    typeof isMetered === 'boolean' &&
    isUnits(inputEstimate) &&
    Number.isSafeInteger(startedAt)
  )
}

function areBeside(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > besideMax) return false
  return value.every(
    (one: unknown) => isRecord(one) && isText(one.family) && isText(one.model) && isUsage(one.usage),
  )
}

function isUsage(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { input, cacheRead, cacheWritten, output, reasoning } = value
  return [input, cacheRead, cacheWritten, output, reasoning].every(isUnits)
}

const isText = (value: unknown) => typeof value === 'string'
const isDuration = (value: unknown) => typeof value === 'number' && value >= 0
const isAbsentOr = (value: unknown, is: (value: unknown) => boolean) => value === undefined || is(value)

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
