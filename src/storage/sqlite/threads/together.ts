import type { DatabaseSync } from 'node:sqlite'
import { failureSent, type WorkFailure } from './failure-sent.ts'

/** One write of several that share a transaction. */
export interface WriteCall {
  /** `table.method` */
  readonly name: string
  readonly args: readonly unknown[]
}

export type WriteAnswer = { readonly kind: 'done'; readonly value: unknown } | WorkFailure

type Methods = Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>

/**
 * Runs writes one after the other in one transaction, each within a savepoint: one that fails is undone, and the others
 * stay. Where the transaction itself fails, none was done, and all get its error.
 */
export async function runTogether(
  db: DatabaseSync,
  methods: Methods,
  calls: readonly WriteCall[],
): Promise<readonly WriteAnswer[]> {
  db.exec('begin immediate')
  try {
    const answers: WriteAnswer[] = []
    for (const call of calls) answers.push(await runOne(db, methods, call))
    db.exec('commit')
    return answers
  } catch (error) {
    if (db.isTransaction) db.exec('rollback')
    throw error
  }
}

async function runOne(db: DatabaseSync, methods: Methods, { name, args }: WriteCall): Promise<WriteAnswer> {
  db.exec('savepoint one')
  try {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined
    if (!method) throw new Error(`there is no work ${name}`)
    const value = await method(...args)
    db.exec('release one')
    return { kind: 'done', value }
  } catch (error) {
    // A full disk ends the whole transaction.
    if (!db.isTransaction) throw error
    db.exec('rollback to one; release one')
    return failureSent(error)
  }
}
