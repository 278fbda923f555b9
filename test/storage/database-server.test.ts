import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts'
import { createPostgres } from '../support/stores.ts'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // Who is dead and not collected is still there to be signalled.
    return !(existsSync('/proc') && /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')))
  } catch {
    return false
  }
}

function pidOf(server: DatabaseServer): number {
  return server.pid() ?? assert.fail('it runs')
}

describe('a database server of a test', () => {
  let server: DatabaseServer
  before(async () => {
    server = await startDatabaseServer()
  })
  after(() => server.stop())

  it('is nobody’s who could harm anything', {
    skip: process.getuid?.() !== 0 || !existsSync('/proc'),
  }, () => {
    assert.notEqual(statSync(`/proc/${pidOf(server)}`).uid, 0)
  })

  it('keeps databases apart, and drops one that somebody uses', async () => {
    const [one, other] = await Promise.all([
      createPostgres(server.urlOf('postgres')),
      createPostgres(server.urlOf('postgres')),
    ])
    await one.change('create table here (a bigint)')
    await one.change('insert into here values (1)')
    assert.deepEqual(await one.rows('select a, sum(a) from here group by a'), [{ a: 1, sum: 1 }])
    await assert.rejects(other.rows('select * from here'), { code: '42P01' })
    const asleep = assert.rejects(one.rows('select pg_sleep(30)'), { code: '57P01' })
    while ((await other.rows("select 1 from pg_stat_activity where query like '%sleep(30)'")).length < 1)
      await wait(20)
    await one.remove()
    await asleep
    await other.remove()
  })

  it('compares texts as no byte would', async (t) => {
    if (server.version < 15) return t.skip('it knows no other locales than the machine')
    const database = await createPostgres(server.urlOf('postgres'))
    assert.deepEqual(await database.rows(`select 'a' < 'B' as people, 'a' < 'B' collate "C" as bytes`), [
      { people: true, bytes: false },
    ])
    await database.remove()
  })

  for (const mode of ['fast', 'immediate', 'killed'] as const)
    it(`has what was committed after a halt that is ${mode}`, async () => {
      const database = await createPostgres(server.urlOf('postgres'))
      await database.change('create table kept (a bigint)')
      await database.change('insert into kept values (7)')
      const first = pidOf(server)
      await server.halt(mode)
      await assert.rejects(database.rows('select 1'), { code: 'ECONNREFUSED' })
      await server.resume()
      assert.notEqual(pidOf(server), first)
      assert.deepEqual(await database.rows('select a from kept'), [{ a: 7 }])
      await database.remove()
    })

  it('is gone with its folder when it is stopped, killed before or not', async () => {
    const another = await startDatabaseServer()
    const pids = [pidOf(another)]
    await another.halt('killed')
    await another.resume()
    pids.push(pidOf(another))
    await another.halt('killed')
    await another.stop()
    assert.equal(existsSync(another.folder), false)
    assert.deepEqual(pids.filter(isAlive), [])
  })
})

/** Starts a server, says which, and never stops it. */
const owner = `
  const { startDatabaseServer } = await import(process.argv[1])
  const server = await startDatabaseServer()
  console.log(JSON.stringify([server.pid(), server.folder]))
  process.on('message', (code) => process.exit(code))
`

async function startOwner(): Promise<{ child: ChildProcess; pid: number; folder: string }> {
  const module = join(import.meta.dirname, '..', 'support', 'database-server.ts')
  const child = spawn(process.execPath, ['--input-type=module', '--eval', owner, module], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const failed = once(child, 'exit').then(() => assert.fail('it does not start'))
  const [line] = await Promise.race([once(child.stdout ?? assert.fail(), 'data'), failed])
  failed.catch(() => undefined)
  const said: unknown = JSON.parse(String(line))
  assert.ok(Array.isArray(said) && typeof said[0] === 'number' && typeof said[1] === 'string')
  return { child, pid: said[0], folder: said[1] }
}

describe('whoever started a database server', () => {
  const ends: Readonly<Record<string, (child: ChildProcess) => unknown>> = {
    'exits without a word': (child) => child.send(3),
    'is interrupted': (child) => child.kill('SIGINT'),
    'is ended': (child) => child.kill('SIGTERM'),
    'is killed': (child) => child.kill('SIGKILL'),
  }
  for (const [name, end] of Object.entries(ends))
    it(`leaves nothing when it ${name}`, async () => {
      const { child, pid, folder } = await startOwner()
      assert.ok(isAlive(pid) && existsSync(folder))
      const ended = once(child, 'exit')
      end(child)
      await ended
      for (const until = Date.now() + 20_000; isAlive(pid) || existsSync(folder); await wait(50))
        assert.ok(Date.now() < until, `left: ${isAlive(pid) ? pid : ''} ${existsSync(folder) ? folder : ''}`)
    })
})
