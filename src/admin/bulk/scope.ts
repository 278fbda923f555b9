import type { AdminContext } from '#admin/request/context.ts'
import type { BulkRun } from '#core/bulk-run.ts'
import { createProblem, type Problem } from '#core/errors.ts'
import { allows } from '#core/scopes.ts'
import type { BulkAction } from './schemas.ts'

/** What an action needs beyond the scope of the route. */
const needs = { purge: 'users:purge' } as const

/** The refusal where the key of a request lacks a scope that the action needs, at its begin and to go on with it. */
export function lacking(c: AdminContext, { action }: Pick<BulkRun, 'action'>): Problem | undefined {
  const { kind } = action as BulkAction
  if (kind !== 'purge' || allows(c.get('adminKey')?.scopes ?? [], needs[kind])) return undefined
  return createProblem('forbidden', `This key lacks the scope "${needs[kind]}".`)
}
