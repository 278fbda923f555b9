import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { openStore, type StoreSettings } from '#storage/open.ts'
import { migrations } from '#storage/schema/migrations/list.ts'
import { by } from '../support/by.ts'
import { databases, type TestDatabase, withStore } from '../support/stores.ts'

const now = Date.parse('2026-11-22T12:00:00Z')

const folder = new URL('../../src/storage/schema/migrations/', import.meta.url)

/**
 * Released steps, by the digest of their statements and of the code beside them: what has run somewhere is never edited.
 * The newest step gets its digest with the release that brings it, or with the step after it.
 */
const released: Readonly<Record<number, string>> = {
  1: 'ac6bf93c40309053',
  2: '4c389209f443a706',
  3: '819e497cc42ef239',
  4: '92d5af801b43a907',
  5: '092d75c7b56738c6',
  6: '9fc969d505048e0a',
  7: '4af9cc8b977a457d',
  8: 'e20a1d6dff276b5e',
  9: '556571a82f52e31a',
  10: '36550cc3097d5db2',
  11: '79f539bb4ab3ae1d',
  12: '4ee98106b7762169',
  13: '433722aadec7ebcc',
  14: 'eb43be841c4028de',
  15: '6e86161d26ec2d5e',
  16: '43d576553c1a7255',
  17: '8d0022b331988061',
  18: '952c69dfe30f4dc5',
  19: '65be1ff9308dd772',
  20: '2547fb6be9bf71da',
  21: 'bc7eca9d272f2db5',
  22: '9dcdcdd703c18e76',
  23: '7e0bfff64813e725',
  24: '2d0d8e3d3977936e',
}

/** Whether a step may still be edited: it is the newest, and no version has it. */
function isBeingWritten(number: number): boolean {
  const changes = readFileSync(new URL('../../CHANGELOG.md', import.meta.url), 'utf8')
  const isUnreleased = /^## (.+)$/m.exec(changes)?.[1] === 'Unreleased'
  return isUnreleased && number === migrations.at(-1)?.number && !(number in released)
}

describe('migrations', () => {
  it('stand in the order of their numbers, and released ones are never edited', () => {
    const numbers = migrations.map((step) => step.number)
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].toSorted((a, b) => a - b),
    )
    for (const step of migrations) {
      const rewrites = (step.rewrites ?? []).map(({ name }) =>
        // Files that it imports may move; what is done with them may not change.
        readFileSync(new URL(`${name}.ts`, folder), 'utf8').replaceAll(/^import .*\n/gm, ''),
      )
      const said = JSON.stringify([...step.statements, ...rewrites])
      const digest = createHash('sha256').update(said).digest('hex').slice(0, 16)
      if (isBeingWritten(step.number)) continue
      assert.equal(digest, released[step.number], `migration ${step.number} has the digest ${digest}`)
    }
  })
})

for (const { name, create } of databases) {
  describe(`opening ${name}`, () => {
    it('finds what was there before', async () => {
      const database = await create()
      const first = await openStore(database.settings())
      const made = await first.users.insertUser({ nickname: 'Ann' }, by(now))
      await first.close()
      const second = await openStore(database.settings())
      assert.deepEqual((await second.users.listUsers({ limit: 5, now })).users, [
        made.kind === 'created' && made.user,
      ])
      await second.close()
      await database.remove()
    })

    it('refuses another master key, and says so', async () => {
      const database = await create()
      await (await openStore(database.settings())).close()
      await assert.rejects(openStore(database.settings({ masterKey: Buffer.alloc(32, 8) })), /MASTER_KEY/)
      await (await openStore(database.settings())).close()
      await database.remove()
    })
  })
}

function pathOf(database: TestDatabase): string {
  const settings: StoreSettings = database.settings()
  assert.ok(settings.database.kind === 'sqlite')
  return settings.database.path
}

const sqlite = databases.find(({ name }) => name === 'SQLite')

describe('opening SQLite', { skip: sqlite === undefined }, () => {
  const create = sqlite?.create ?? (() => assert.fail())

  it('refuses a second process on the same data', () =>
    withStore(create, async (_, database) => {
      await assert.rejects(
        openStore(database.settings()),
        /another Tollgate process is already using the folder/,
      )
    }))

  it('refuses a schema that a later version made', async () => {
    const database = await create()
    await (await openStore(database.settings())).close()
    const db = new DatabaseSync(pathOf(database))
    db.prepare('insert into migrations (number, name, applied_at) values (999, ?, 0)').run('from the future')
    db.close()
    await assert.rejects(openStore(database.settings()), /schema 999/)
    await database.remove()
  })

  it('writes no access token and no admin key into any file in the clear', () =>
    withStore(create, async (store, database) => {
      const given = 'sentinel-access-token-0123456789'
      const made = await store.users.insertUser({}, by(now), { key: 'k', fingerprint: 'f' })
      await store.users.writeUsers([{ ref: { accessToken: given }, edit: {} }], by(now))
      const secret = 'sentinel-admin-key-0123456789'
      await store.adminKeys.insertAdminKey({ name: 'first', secret, scopes: ['admin'] }, by(now))
      const generated = made.kind === 'created' ? made.user.accessToken : assert.fail()
      const bytes = ['', '-wal'].map((suffix) => readFileSync(pathOf(database) + suffix))
      for (const secret of [given, generated, generated.slice(6), 'sentinel-admin-key']) {
        for (const file of bytes) assert.equal(file.includes(secret), false, secret)
      }
      assert.ok(
        bytes.some((file) => file.includes('usr_')),
        'the files hold the users at all',
      )
    }))
})
