import type { Transaction } from 'kysely'
import { type Actor, actorKinds, type ChangeFields } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import { integer } from '#storage/schema/columns.ts'
import type { ChangeHeadRow, ChangeRow, Schema } from '#storage/schema/tables.ts'
import { isAsWritten, noHash, openKey, redactionOf } from './chain.ts'
import { plain } from './check.ts'
import { lockHead } from './head.ts'

/** What stands in place of a value that was taken out. */
const purgedText = '[purged]'

/** Fields of a user that say nothing of a person. All others are taken out, also those that a later version adds. */
const impersonal =
  /^(type|claim|rotationGraceMs|promptCount|createdAt|lastUsedAt|disabledAt|expiresAt|previousUntil|(limits|quotaLimits|quotaExtra|quotaUsed)\..*)$/

/** Whether a change of this actor may hold the address of the person; those of all others are an administrator's. */
const mayHoldPersons: Readonly<Record<Actor['kind'], boolean>> = {
  holder: true,
  claim: true,
  front_end: true,
  limit: true,
  unknown: true,
  admin_key: false,
  configured_key: false,
  verifier_key: false,
  session: false,
  sign_on: false,
  upkeep: false,
  command_line: false,
}
const personsActors: readonly string[] = actorKinds.filter((kind) => mayHoldPersons[kind])

/**
 * Takes what is personal out of the changes of a user, from a number on. Who changed it, when and which fields stays.
 * A row that was altered behind the program's back is emptied as well, and stays an altered one.
 *
 * @returns the number of the last row that was looked at; undefined behind the last one
 */
export async function redactChanges(
  trx: Transaction<Schema>,
  { many, vault }: { readonly many: ManyRows; readonly vault: Vault },
  { userId, after, limit }: { readonly userId: string; readonly after: number; readonly limit: number },
): Promise<number | undefined> {
  const { head } = await lockHead(trx, many)
  const key = head && head.key_encrypted !== null ? openKey(head.key_encrypted, vault)?.key : undefined
  const rows = await trx
    .selectFrom('changes')
    .selectAll()
    .where('object', '=', userId)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute()
  for (const stored of rows) {
    const row = plain(stored)
    const { redaction: _, ...left } = { ...row, ...redacted(row) }
    if (left.fields_before === row.fields_before && left.fields_after === row.fields_after) {
      if (left.address === row.address) continue
    }
    const before = await hashBefore(trx, head, row.seq)
    const isSound = key !== undefined && before !== undefined && isAsWritten(row, before, key)
    await trx
      .updateTable('changes')
      .set({
        fields_before: left.fields_before,
        fields_after: left.fields_after,
        address: left.address,
        redaction: isSound ? redactionOf(left, before, key) : null,
      })
      .where('seq', '=', row.seq)
      .execute()
  }
  const last = rows.at(-1)
  return rows.length < limit || !last ? undefined : integer(last.seq)
}

function redacted(row: ChangeRow): Pick<ChangeRow, 'fields_before' | 'fields_after' | 'address'> {
  return {
    fields_before: withoutPerson(row.fields_before),
    fields_after: withoutPerson(row.fields_after),
    address: personsActors.includes(row.actor_kind) ? null : row.address,
  }
}

function withoutPerson(fields: string | null): string | null {
  if (fields === null) return null
  const left = Object.entries(fieldsIn(fields)).map(([name, value]) => [
    name,
    value === null || impersonal.test(name) ? value : purgedText,
  ])
  return JSON.stringify(Object.fromEntries(left))
}

/** A damaged text is nothing that could be kept in part. */
function fieldsIn(text: string): ChangeFields {
  try {
    const fields: unknown = JSON.parse(text)
    return typeof fields === 'object' && fields !== null ? { ...fields } : {}
  } catch {
    return {}
  }
}

async function hashBefore(
  trx: Transaction<Schema>,
  head: ChangeHeadRow | undefined,
  seq: number,
): Promise<string | undefined> {
  if (seq - 1 === (head?.removed_seq ?? 0)) return head?.removed_hash ?? noHash
  const row = await trx
    .selectFrom('changes')
    .select('hash')
    .where('seq', '=', seq - 1)
    .executeTakeFirst()
  return row?.hash
}
