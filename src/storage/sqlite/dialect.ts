import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import {
  Kysely,
  type SelectModifierNode,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
  SqliteQueryCompiler,
} from 'kysely'
import { makeRoom } from '#lib/make-room.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { allNamed } from './rows.ts'

const statementsKept = 256
/**
 * Every transaction writes. One that took the lock only with its first write would fail where another process has
 * written since it first read.
 */
const beginWriting = 'begin immediate'

/** SQLite has one writer at a time: row locks do not exist in its SQL, so they are left out. */
class Compiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier !== 'ForUpdate') super.visitSelectModifier(node)
  }
}

/** Within a transaction that is open already, a transaction is a savepoint of it. */
class Driver extends SqliteDriver {
  readonly #database: DatabaseSync
  #isInner = false

  constructor(config: SqliteDialectConfig, database: DatabaseSync) {
    super(config)
    this.#database = database
  }

  override async beginTransaction(): Promise<void> {
    this.#isInner = this.#database.isTransaction
    this.#database.exec(this.#isInner ? 'savepoint inner_one' : beginWriting)
  }

  override async commitTransaction(): Promise<void> {
    this.#database.exec(this.#isInner ? 'release inner_one' : 'commit')
  }

  override async rollbackTransaction(): Promise<void> {
    // A full disk ends a transaction by itself.
    if (!this.#database.isTransaction) return
    this.#database.exec(this.#isInner ? 'rollback to inner_one; release inner_one' : 'rollback')
  }
}

class Dialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig
  readonly #database: DatabaseSync

  constructor(config: SqliteDialectConfig, database: DatabaseSync) {
    super(config)
    this.#config = config
    this.#database = database
  }

  override createDriver(): Driver {
    return new Driver(this.#config, this.#database)
  }

  override createQueryCompiler(): SqliteQueryCompiler {
    return new Compiler()
  }
}

/**
 * Kysely over `node:sqlite`: Kysely's own SQLite dialect, with Node's prepared statements in the shape it expects.
 * Prepared statements are cached, since preparing costs more than running them.
 */
export function createKysely(database: DatabaseSync): Kysely<Schema> {
  const kept = new Map<string, StatementSync>()
  const prepare = (text: string): StatementSync => {
    const known = kept.get(text)
    if (known) return known
    makeRoom(kept, statementsKept)
    const made = database.prepare(text)
    kept.set(text, made)
    return made
  }
  return new Kysely<Schema>({
    dialect: new Dialect(
      {
        database: {
          close: () => database.close(),
          prepare(text) {
            const statement = prepare(text)
            return {
              reader: statement.columns().length > 0,
              all: (values) => allNamed(statement, ...inputs(values)),
              run: (values) => statement.run(...inputs(values)),
              iterate: (values) => statement.iterate(...inputs(values)),
            }
          },
        },
      },
      database,
    ),
  })
}

function inputs(values: readonly unknown[]): SQLInputValue[] {
  return values.map((value) => {
    if (
      value === null ||
      typeof value === 'string' ||
      typeof value === 'bigint' ||
      value instanceof Uint8Array
    )
      return value
    if (typeof value === 'number') return value
    throw new TypeError(`a ${typeof value} cannot be stored`)
  })
}
