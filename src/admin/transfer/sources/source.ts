import type { Issue } from '#core/errors.ts'

/** What an import is told beside the file. */
export interface SourceParts {
  readonly familyNames: readonly string[]
  /** How budgets in money become limits; undefined where budgets are refused. */
  readonly budgets: Budgets | undefined
}

export type Budgets =
  | { readonly kind: 'ignored' }
  /** A dollar allows so many units of a family. */
  | { readonly kind: 'units'; readonly perDollar: number; readonly family: string }

/** A record of another system as a user of this API, or what is wrong with it. */
export type Conversion =
  | {
      readonly kind: 'user'
      readonly user: Readonly<Record<string, unknown>>
      /** What of the record has no place here. */
      readonly warnings?: readonly Issue[]
    }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }

export type Convert = (record: Readonly<Record<string, unknown>>, parts: SourceParts) => Conversion

export function wrong(path: string, message: string): Conversion {
  return { kind: 'invalid', issues: [{ path, message }] }
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** A number, also as the text that a CSV file has. */
export function numberOf(value: unknown): number | undefined {
  const number =
    typeof value === 'string' && /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value.trim()) ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined
}

/** Whether it is true, also as databases write it into a CSV file. */
export function isTrue(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === 'string' && /^(?:true|t|1)$/i.test(value.trim()))
}

/** A name of another system, as much of it as fits into one of ours. */
export function nicknameOf(value: unknown): string | undefined {
  const text = textOf(value)
  return text === undefined ? undefined : [...text].slice(0, 80).join('')
}

/** What is spent and what may be spent, in dollars, as a limit and a count of a family. */
export function budgetMembers(
  budget: { readonly max: number | undefined; readonly spent: number; readonly path: string },
  { budgets }: SourceParts,
): Readonly<Record<string, unknown>> | Conversion {
  if (budget.max === undefined) return {}
  if (budgets === undefined)
    return wrong(
      budget.path,
      `is a budget in money: say unitsPerDollar and budgetFamily, or budgets=ignore for a user without that limit`,
    )
  if (budgets.kind === 'ignored') return {}
  const units = (dollars: number) => Math.max(0, Math.round(dollars * budgets.perDollar))
  return {
    tokenLimits: { [budgets.family]: units(budget.max) },
    tokenCounts: { [budgets.family]: units(budget.spent) },
  }
}

export function isConversion(value: object): value is Conversion {
  return 'kind' in value
}
