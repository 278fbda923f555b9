import type { Kysely } from 'kysely'
import type { Vault } from '#core/vault.ts'
import type { MethodGroups } from '#storage/methods.ts'
import { integer, text } from '#storage/schema/columns.ts'
import type { ChangeHeadRow, Schema } from '#storage/schema/tables.ts'
import type { ChangePlace, ChangeStore } from '#storage/store.ts'
import { headId, noHash } from './chain.ts'
import { checkChain } from './check.ts'
import { toHead } from './head.ts'
import { listChanges } from './list.ts'
import type { SaveChanges } from './write.ts'

export function createChangeTable(db: Kysely<Schema>, vault: Vault, saveChanges: SaveChanges) {
  async function readHead(): Promise<ChangeHeadRow | undefined> {
    const row = await db.selectFrom('change_head').selectAll().where('id', '=', headId).executeTakeFirst()
    return row && toHead(row)
  }

  return {
    reads: {
      async lastChange() {
        const head = await readHead()
        return head ? placeOf(head) : beginning
      },

      async readChanges(after, limit) {
        const rows = await db
          .selectFrom('changes')
          .select(['seq', 'hash', 'kind', 'object'])
          .where('seq', '>=', after.seq)
          .orderBy('seq')
          .limit(limit + 1)
          .execute()
        const first = rows[0]
        const isThere = first && isSame({ seq: integer(first.seq), hash: text(first.hash) }, after)
        if (!isThere && !(await goesOnFrom(after, first && integer(first.seq)))) {
          const head = await readHead()
          return { kind: 'lost', place: head ? placeOf(head) : beginning }
        }
        const fresh = (isThere ? rows.slice(1) : rows.slice(0, limit)).map((row) => ({
          seq: integer(row.seq),
          hash: text(row.hash),
          kind: text(row.kind),
          object: text(row.object),
        }))
        const { seq, hash } = fresh.at(-1) ?? after
        return { kind: 'read', changes: fresh, place: { seq, hash } }
      },
    },
    long: {
      listChanges: (question) => listChanges(db, question),
      checkChain: () => checkChain(db, vault),
    },
    writes: {
      noteChange: (change) => db.transaction().execute((trx) => saveChanges(trx, [change])),
    },
  } satisfies MethodGroups<ChangeStore>

  /**
   * Whether the changes go on from a place whose row is not there: nothing was before it, or upkeep has removed
   * everything up to it.
   * @param next the first row behind that place
   */
  async function goesOnFrom(place: ChangePlace, next: number | undefined): Promise<boolean> {
    if (next !== undefined && next !== place.seq + 1) return false
    const head = await readHead()
    if (!head) return isSame(beginning, place)
    if (isSame({ seq: head.removed_seq, hash: head.removed_hash }, place)) return true
    return next === undefined && isSame(head, place)
  }
}

const beginning: ChangePlace = { seq: 0, hash: noHash }

function placeOf({ seq, hash }: ChangeHeadRow): ChangePlace {
  return { seq, hash }
}

function isSame(one: ChangePlace, other: ChangePlace): boolean {
  return one.seq === other.seq && one.hash === other.hash
}
