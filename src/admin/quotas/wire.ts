import { unknownFamily } from '#admin/wire/unknown-members.ts'
import { type Policy, periodOf } from '#core/admission.ts'
import { mapped, type Parsed, parseBy, type Schema } from '#core/parsed.ts'
import type { User } from '#core/user.ts'
import { quotaFamilies, remainingOf, viewUserQuota } from '#core/user-quotas.ts'
import type { QuotaAddition } from '#storage/store/users.ts'
import { createQuotaSchemas, type QuotaAnswer, type QuotaSchemas } from './schemas.ts'

/** Converts quotas between the wire and the domain, for one configuration of families. */
export interface QuotaWire {
  readonly schemas: QuotaSchemas
  readonly parseReset: (value: unknown) => Parsed<readonly string[] | 'all'>
  readonly parseAddition: (value: unknown) => Parsed<QuotaAddition>
  readonly parseResetAll: (value: unknown) => Parsed<ResetAll>
}

export interface ResetAll {
  readonly families: readonly string[] | 'all'
  /** The last user of the call before. */
  readonly after: string | undefined
  /** The maximum number of users in this call. */
  readonly limit: number
}

export function createQuotaWire(familyNames: readonly string[]): QuotaWire {
  const schemas = createQuotaSchemas(familyNames)
  const parse = <T>(schema: Schema<T>, value: unknown) => parseBy(schema, value, unknownFamily(familyNames))
  return {
    schemas,
    parseReset: (value) => mapped(parse(schemas.reset, value), ({ families }) => families ?? 'all'),
    parseAddition: (value) => parse(schemas.addition, value),
    parseResetAll: (value) =>
      mapped(parse(schemas.resetAll, value), ({ families, cursor, limit }) => ({
        families: families ?? 'all',
        after: cursor,
        limit,
      })),
  }
}

/** The state of all of a user's quotas at `now`. */
export function toQuotaAnswer(user: User, policy: Policy, now: number): QuotaAnswer {
  const period = periodOf(user.limits, policy)
  return {
    period,
    ...resetAtOf(policy.periodAt(period, now).endAt),
    families: quotaFamilies(user, policy).map((family) => {
      const view = viewUserQuota(user, family, policy, now)
      const [own, remaining] = [user.quotas.get(family), remainingOf(view)]
      return {
        family,
        ...(view.limit !== undefined && { limit: view.limit }),
        ...(own?.limit !== undefined && { ownLimit: own.limit }),
        extra: view.extra,
        used: view.used,
        reserved: view.reserved,
        openRequests: own?.openRequests ?? 0,
        ...(remaining !== undefined && { remaining }),
        ...resetAtOf(view.resetAt),
      }
    }),
  }
}

function resetAtOf(at: number): { readonly resetAt?: number } {
  return Number.isFinite(at) ? { resetAt: at } : {}
}
