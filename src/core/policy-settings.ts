import type { Policy } from './admission.ts'
import type { Family } from './family.ts'
import type { UserLimits } from './limits.ts'
import type { OutputPolicy } from './output-need.ts'
import { createPeriods } from './period.ts'
import { createWeights, type WeightSettings } from './weights.ts'

/** The configuration's policy as plain data, so that it can be passed to another thread. */
export interface PolicySettings {
  readonly families: readonly Family[]
  /** Default quota limits by family; a family without one is unlimited. */
  readonly limits: Readonly<Record<string, number>>
  readonly defaults: UserLimits
  /** Models that the configuration names beside those of `families`; reports always show them. */
  readonly modelNames?: readonly string[]
  /** The configured upstreams; reports always show them. */
  readonly upstreamNames?: readonly string[]
  readonly output: OutputPolicy
  /** How much one unit of each kind counts in a quota; absent: as one. */
  readonly weights?: WeightSettings
  /** IANA name; quota periods follow its calendar. */
  readonly timeZone: string
}

export function createPolicy(settings: PolicySettings): Policy {
  const weightsOf = createWeights(settings.weights)
  return { ...settings, ...(weightsOf && { weightsOf }), periodAt: createPeriods(settings.timeZone) }
}
