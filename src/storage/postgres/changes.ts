import type pg from 'pg'
import type { NewChange } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import { createChain } from '#storage/changes/chain.ts'
import { changeStatements, changeValues, headIn, headValues } from '#storage/changes/statements.ts'
import { integer, optional } from '#storage/schema/columns.ts'
import { wakeOn } from './channel/wake.ts'

/** Sends the statements that write the changes; their answers come with those of the batch. */
export type SavedChanges = () => readonly Promise<unknown>[]

/** Writes changes on a batch's connection, within its transaction. They are rare: a round trip more does no harm. */
export function createChangeSaver(
  vault: Vault,
): (client: pg.Client, changes: readonly NewChange[]) => Promise<SavedChanges> {
  const statements = changeStatements((number) => `$${number}`, 'for update')
  const chain = createChain(vault)
  return async (client, changes) => {
    const first = async (text: string) => (await client.query<unknown[]>({ text, rowMode: 'array' })).rows[0]
    const found = await first(statements.head)
    const last = found ? found.at(-1) : (await first(statements.last))?.[0]
    const { rows, head } = chain.append(found && headIn(found), optional(last, integer) ?? 0, changes)
    return () => [
      ...rows.map((row) => client.query(statements.insert, changeValues(row))),
      client.query(statements.saveHead, headValues(head)),
      wakeOn(client),
    ]
  }
}
