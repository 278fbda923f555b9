import { type Kysely, sql } from 'kysely'
import type { InputCorrection } from '#core/input-correction.ts'
import { correctedModelsMax } from '#core/input-correction.ts'
import { correctedKinds } from '#core/input-kinds.ts'
import { toCount } from '#core/units.ts'
import type { MethodGroups } from '#storage/methods.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { CorrectionStore } from '#storage/store.ts'

/** What has been learned about how models count their input. No request waits for this table. */
export function createCorrectionTable(db: Kysely<Schema>) {
  return {
    reads: {
      async readCorrections(since) {
        const rows = await db
          .selectFrom('input_corrections')
          .select(['model', 'kind', 'voice', 'factor', 'requests'])
          .where('updated_at', '>=', since)
          .execute()
        return rows.flatMap((row) => {
          // A kind that a later version has added is skipped.
          const kind = correctedKinds.find((one) => one === row.kind)
          return kind
            ? [{ ...row, kind, voice: Number(row.voice), requests: toCount(Number(row.requests)) }]
            : []
        })
      },
    },
    writes: {
      async writeCorrections(corrections, now) {
        if (corrections.length === 0) return
        // Sorted, so that two instances that write the same rows cannot deadlock.
        const rows = corrections.toSorted(byKey).map((one) => ({ ...one, updated_at: now }))
        await db
          .insertInto('input_corrections')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['model', 'kind', 'voice']).doUpdateSet({
              factor: (e) => e.ref('excluded.factor'),
              requests: (e) => e.ref('excluded.requests'),
              updated_at: (e) => e.ref('excluded.updated_at'),
            }),
          )
          .execute()
      },
    },
  } satisfies MethodGroups<CorrectionStore>
}

/**
 * Removes corrections of models that were not used since then, and of the rest all but those of the most used models.
 */
export async function removeCorrections(db: Kysely<Schema>, before: number, limit: number): Promise<number> {
  const key = sql.raw('model, kind, voice')
  const removed = await sql`delete from input_corrections where (${key}) in (
    select ${key} from input_corrections where updated_at < ${before} or model not in (
      select model from input_corrections where updated_at >= ${before}
      group by model order by max(requests) desc, model limit ${correctedModelsMax})
    limit ${limit})`.execute(db)
  return Number(removed.numAffectedRows ?? 0)
}

function byKey(one: InputCorrection, other: InputCorrection): number {
  const [a, b] = [one, other].map(({ model, kind, voice }) => `${model}\n${kind}\n${voice}`) as [
    string,
    string,
  ]
  return a < b ? -1 : Number(a > b)
}
