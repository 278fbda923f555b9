import { z } from '@hono/zod-openapi'
import { wholeParameter } from '#admin/wire/fields.ts'
import { unknownFamily } from '#admin/wire/unknown-members.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import { read } from '#lib/reading.ts'
import type { Budgets } from './sources/source.ts'

const sources = ['tollgate', 'oai-reverse-proxy', 'litellm', 'one-api', 'new-api'] as const
const perDollarMax = 1_000_000_000
const flag = z.enum(['true', 'false']).optional()

export const importQuerySchema = z.object({
  from: z
    .enum(sources)
    .optional()
    .openapi({ description: 'Whose file it is; absent: an export of this API.' }),
  dryRun: flag.openapi({ description: '`true`: says what would change, and changes nothing.' }),
  onError: z.enum(['stop', 'skip']).optional().openapi({
    description:
      '`stop` (the default): the first wrong record ends the import, without its batch. `skip`: wrong records are left out.',
  }),
  emptyCells: z.enum(['keep', 'clear']).optional().openapi({
    description: 'CSV: whether an empty cell leaves a field as it is (the default) or clears it.',
  }),
  unitsPerDollar: wholeParameter(perDollarMax, 10).optional().openapi({
    description: 'With `budgetFamily`: how many units of that family a dollar of a budget allows.',
  }),
  budgetFamily: z
    .string()
    .max(256)
    .optional()
    .openapi({ description: 'The family that budgets become limits of.' }),
  budgets: z.enum(['ignore']).optional().openapi({
    description:
      'Users with a budget in money are imported without that limit. Otherwise such a record is an error.',
  }),
})

export interface ImportQuery {
  readonly from: (typeof sources)[number]
  readonly isDryRun: boolean
  readonly onError: 'stop' | 'skip'
  readonly isClearing: boolean
  readonly budgets: Budgets | undefined
}

export function parseImportQuery(
  values: ReadonlyMap<string, string>,
  familyNames: readonly string[],
): Parsed<ImportQuery> {
  const fields = parseBy(importQuerySchema, Object.fromEntries(values))
  if (fields.kind === 'invalid') return fields
  const {
    from = 'tollgate',
    dryRun,
    onError = 'stop',
    emptyCells,
    unitsPerDollar,
    budgetFamily,
  } = fields.value
  const issues = []
  if ((unitsPerDollar === undefined) !== (budgetFamily === undefined))
    issues.push({ path: 'unitsPerDollar', message: 'goes with budgetFamily' })
  if (budgetFamily !== undefined && !familyNames.includes(budgetFamily))
    issues.push({ path: 'budgetFamily', message: unknownFamily(familyNames) })
  if (issues.length > 0) return { kind: 'invalid', issues }
  const rest = { isDryRun: dryRun === 'true', onError, isClearing: emptyCells === 'clear' }
  return read({ from, ...rest, budgets: budgetsOf(fields.value) })
}

function budgetsOf({
  unitsPerDollar,
  budgetFamily,
  budgets,
}: z.output<typeof importQuerySchema>): Budgets | undefined {
  if (unitsPerDollar !== undefined && budgetFamily !== undefined)
    return { kind: 'units', perDollar: unitsPerDollar, family: budgetFamily }
  return budgets === 'ignore' ? { kind: 'ignored' } : undefined
}
