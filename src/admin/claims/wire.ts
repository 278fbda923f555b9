import type { Claim, ClaimRotation } from '#core/claim.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { type ClaimAnswer, claimSchemas, dayMinutes, minuteMs } from './schemas.ts'

export interface ClaimInput {
  /** How long it is open. */
  readonly validMs: number
  readonly rotation?: ClaimRotation
}

export function parseClaim(value: unknown): Parsed<ClaimInput> {
  const input = parseBy(claimSchemas.input, value)
  if (input.kind === 'invalid') return input
  const { validMinutes, rotate, graceMinutes } = input.value
  if (!rotate && typeof graceMinutes === 'number') return invalid('graceMinutes', 'needs "rotate": true')
  const rotation = rotate ? { graceMs: (graceMinutes ?? 0) * minuteMs } : undefined
  return read({ validMs: (validMinutes ?? dayMinutes) * minuteMs, ...present({ rotation }) })
}

export function toClaimAnswer({ userId: _, rotation, ...claim }: Claim): ClaimAnswer {
  const graceMinutes = rotation && Math.round(rotation.graceMs / minuteMs)
  return { ...claim, rotate: rotation !== undefined, ...present({ graceMinutes }) }
}
