import type { Kysely } from 'kysely'
import type { ChangeFields, ChangeFilter, ChangePage, ChangeQuestion, StoredChange } from '#core/change.ts'
import { present } from '#lib/present.ts'
import { integer, optional, readEach, text } from '#storage/schema/columns.ts'
import type { ChangeRow, Schema } from '#storage/schema/tables.ts'

/** The changes of a filter, newest first, in pages by their number. */
export async function listChanges(
  db: Kysely<Schema>,
  { filter, before, limit }: ChangeQuestion,
): Promise<ChangePage> {
  let query = filtered(db, filter)
  if (before !== undefined) query = query.where('seq', '<', before)
  const rows = await query
    .orderBy('seq', 'desc')
    .limit(limit + 1)
    .execute()
  const some = rows.slice(0, limit).map((row) => ({ ...row, id: String(row.seq) }))
  const { items, unreadable } = readEach(some, toChange)
  const last = some.at(-1)
  return {
    changes: items,
    ...(rows.length > limit && last && { next: integer(last.seq) }),
    ...(unreadable.length > 0 && { unreadable }),
  }
}

function filtered(db: Kysely<Schema>, { actor, actorKind, object, kind, from, to }: ChangeFilter) {
  let query = db.selectFrom('changes').selectAll()
  if (actor !== undefined) query = query.where('actor_id', '=', actor)
  if (actorKind !== undefined) query = query.where('actor_kind', '=', actorKind)
  if (object !== undefined) query = query.where('object', '=', object)
  if (kind !== undefined) query = query.where('kind', '=', kind)
  if (from !== undefined) query = query.where('at', '>=', from)
  if (to !== undefined) query = query.where('at', '<', to)
  return query
}

function toChange(row: ChangeRow): StoredChange {
  const actor = {
    kind: text(row.actor_kind),
    ...present({
      id: optional(row.actor_id, text) ?? undefined,
      name: optional(row.actor_name, text) ?? undefined,
    }),
  }
  return {
    ...{ seq: integer(row.seq), at: integer(row.at), actor, kind: text(row.kind), object: text(row.object) },
    ...present({
      before: optional(row.fields_before, toFields) ?? undefined,
      after: optional(row.fields_after, toFields) ?? undefined,
      requestId: optional(row.request_id, text) ?? undefined,
      address: optional(row.address, text) ?? undefined,
    }),
  }
}

function toFields(value: unknown): ChangeFields {
  const fields: unknown = JSON.parse(text(value))
  if (typeof fields !== 'object' || fields === null) throw new TypeError('stored fields are not an object')
  return { ...fields }
}
