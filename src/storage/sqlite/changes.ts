import type { DatabaseSync } from 'node:sqlite'
import type { NewChange } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import { createChain } from '#storage/changes/chain.ts'
import { changeStatements, changeValues, headIn, headValues } from '#storage/changes/statements.ts'
import { integer, optional } from '#storage/schema/columns.ts'
import { oneRow } from './rows.ts'

/** Writes changes on the ledger's connection, within its transaction. They are rare: nothing is prepared before. */
export function createChangeSaver(db: DatabaseSync, vault: Vault): (changes: readonly NewChange[]) => void {
  const statements = changeStatements((number) => `?${number}`)
  const chain = createChain(vault)
  const readOne = (text: string) => {
    const statement = db.prepare(text)
    statement.setReturnArrays(true)
    return oneRow(statement)
  }
  return (changes) => {
    const found = readOne(statements.head)
    const last = found ? found.at(-1) : readOne(statements.last)?.[0]
    const { rows, head } = chain.append(found && headIn(found), optional(last, integer) ?? 0, changes)
    const insert = db.prepare(statements.insert)
    for (const row of rows) insert.run(...changeValues(row))
    db.prepare(statements.saveHead).run(...headValues(head))
  }
}
