import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { absurdFigures, answerWithFigure, ordinaryUnits } from './support/absurd-figures.ts'
import { readAccount } from './support/account.ts'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { openScripted } from './support/gateway-scripted.ts'
import { type Program, startProgram } from './support/process.ts'
import { databases, type TestDatabase } from './support/stores.ts'

/**
 * Absurd figures by every way in, beside users who do nothing unusual: those get no wrong answer, everything of theirs
 * is booked, and the server starts again after it was killed in the middle.
 */
const adminKey = 'a-test-admin-key-1'
const workers = 16
/** What is between the requests of a worker leaves the machine to the others. */
const paceMs = 30

interface User {
  readonly id: string
  readonly token: string
}

/** One server over one database, before one upstream; started as often as the test wants. */
class World {
  readonly folder: string
  readonly #env: Readonly<Record<string, string>>
  #program: Program | undefined
  #port = 0
  verifierKey = ''

  constructor(folder: string, database: TestDatabase, origin: string) {
    this.folder = join(folder, 'data')
    this.#env = {
      ...database.env,
      DATA_DIR: database.env.DATA_DIR ?? this.folder,
      PORT: '0',
      ADMIN_KEY: adminKey,
      LOG_LEVEL: 'error',
      OPENAI_BASE_URL: `${origin}/v1`,
      OPENAI_API_KEY: 'x',
      ANTHROPIC_BASE_URL: origin,
      ANTHROPIC_API_KEY: 'x',
    }
    this.folder = this.#env.DATA_DIR ?? this.folder
  }

  async start(): Promise<void> {
    this.#program = startProgram([], this.#env)
    this.#port = Number(new URL(await this.#program.listening).port)
  }

  async end(signal: NodeJS.Signals): Promise<number | null | undefined> {
    this.#program?.process.kill(signal)
    return this.#program?.exit
  }

  output(): string {
    return this.#program?.output() ?? ''
  }

  async ask(method: string, path: string, secret: string, body?: string) {
    const headers = { authorization: `Bearer ${secret}` }
    const answer = await call(this.#port, { method, path, headers, ...(body !== undefined && { body }) })
    return { status: answer.status, text: answer.text, isWhole: answer.isWhole }
  }

  async admin(method: string, path: string, body?: string): Promise<Record<string, unknown>> {
    const { status, text } = await this.ask(method, `/admin${path}`, adminKey, body)
    assert.equal(status, 200, `${method} ${path}: ${text}`)
    return JSON.parse(text)
  }

  async user(body: object = {}): Promise<User> {
    const { id, token } = await this.admin('POST', '/users', JSON.stringify(body))
    return { id: String(id), token: String(token) }
  }
}

type Way = (
  world: World,
  users: readonly [free: User, limited: User],
  figure: string,
  name: string,
) => Promise<void>

/** Refused or taken, it is no failure of the server. */
async function poison(
  world: World,
  method: string,
  path: string,
  secret: string,
  body: string,
): Promise<string> {
  const { status, text } = await world.ask(method, path, secret, body)
  assert.ok(status >= 200 && status < 500, `${method} ${path} ${body}: ${status} ${text}`)
  return text
}

const chat = '"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]'
const message = '"model":"claude-x","messages":[{"role":"user","content":"hi"}]'

const ways: Readonly<Record<string, Way>> = {
  async 'a request at the gateway'(world, users, figure) {
    for (const { token } of users) {
      for (const field of ['max_tokens', 'max_completion_tokens', 'n'])
        await poison(world, 'POST', '/v1/chat/completions', token, `{${chat},"${field}":${figure}}`)
      await poison(world, 'POST', '/v1/messages', token, `{${message},"stream":true,"max_tokens":${figure}}`)
      await poison(
        world,
        'POST',
        '/v1/responses',
        token,
        `{"model":"gpt-4o","input":"hi","max_output_tokens":${figure}}`,
      )
    }
  },
  async "an upstream's answer"(world, users, _figure, name) {
    for (const { token } of users)
      for (const isStream of [false, true]) {
        const more = `"messages":[{"role":"user","content":"hi"}],"max_tokens":9,"stream":${isStream}`
        await poison(world, 'POST', '/v1/chat/completions', token, `{"model":"gpt-4o@${name}",${more}}`)
        await poison(world, 'POST', '/v1/messages', token, `{"model":"claude-x@${name}",${more}}`)
      }
  },
  async 'the admin API'(world, [free, limited], figure) {
    const send = (method: string, path: string, body: string) =>
      poison(world, method, `/admin${path}`, adminKey, body)
    await send('POST', '/users', `{"tokenLimits":{"claude":${figure}},"requestsPerMinute":${figure}}`)
    for (const user of [free, limited]) {
      for (const field of ['"promptCount"', '"requestsPerMinute"', '"concurrentRequests"', '"maxIps"'])
        await send('PUT', `/users/${user.id}`, `{${field}:${figure}}`)
      await send('PUT', `/users/${user.id}`, `{"tokenCounts":{"claude":${figure},"gpt4":${figure}}}`)
      await send('PUT', '/users', `{"users":[{"token":"${user.token}","tokenCounts":{"claude":${figure}}}]}`)
      await send('POST', `/users/${user.id}/quota/add`, `{"family":"claude","units":${figure}}`)
    }
  },
  async 'reported usage'(world, users, figure, name) {
    for (const { id } of users) {
      const event = `"id":"${name} ${id}","userId":"${id}","model":"gpt-4o"`
      await poison(world, 'POST', '/usage', world.verifierKey, `{${event},"units":${figure}}`)
      await poison(
        world,
        'POST',
        '/usage',
        world.verifierKey,
        `[{${event},"usage":{"input":1,"output":${figure}}}]`,
      )
      await poison(world, 'POST', '/usage', world.verifierKey, `{${event},"units":1,"happenedAt":${figure}}`)
    }
  },
  async 'a reservation of another gateway'(world, users, figure) {
    const key = world.verifierKey
    for (const { id } of users) {
      const whose = `"userId":"${id}","model":"gpt-4o"`
      for (const units of [`"inputUnits":${figure}`, `"inputUnits":1,"outputUnits":${figure}`]) {
        const text = await poison(world, 'POST', '/usage/reservations', key, `{${whose},${units}}`)
        const made = /"id":"(res_[^"]+)"/.exec(text)?.[1]
        if (made) await poison(world, 'POST', `/usage/reservations/${made}/release`, key, '{}')
      }
      const text = await poison(
        world,
        'POST',
        '/usage/reservations',
        key,
        `{${whose},"inputUnits":1,"outputUnits":1}`,
      )
      const made = /"id":"(res_[^"]+)"/.exec(text)?.[1]
      if (made === undefined) continue
      for (const used of [`"units":${figure}`, `"units":1,"durationMs":${figure},"firstByteMs":${figure}`])
        await poison(world, 'POST', `/usage/reservations/${made}/settle`, key, `{${used}}`)
      await poison(world, 'POST', `/usage/reservations/${made}/release`, key, '{}')
    }
  },
}

/** Requests of a user who does nothing unusual, one after the other until it is over. */
async function work(world: World, user: User, isOver: () => boolean, wrong: string[]): Promise<number> {
  let answered = 0
  for (; !isOver(); await wait(paceMs)) {
    const isOpenai = answered % 2 === 0
    const body = `{${isOpenai ? chat : message},"max_tokens":20,"stream":${answered % 3 === 0}}`
    try {
      const path = isOpenai ? '/v1/chat/completions' : '/v1/messages'
      const { status, text, isWhole } = await world.ask('POST', path, user.token, body)
      // What the kill has cut is booked by the next start, by an estimate.
      if (status === 200 && isWhole && text.includes('Hello')) answered += 1
      else if (!isOver()) wrong.push(`${status} ${text}`)
    } catch (error) {
      if (!isOver()) wrong.push(String(error))
    }
  }
  return answered
}

/** Settlements as a process leaves them in its journal, of requests that nothing else is known of. */
function journalOf(figure: string, index: number): string {
  const usage = `{"input":1,"cacheRead":0,"cacheWritten":0,"output":${figure},"reasoning":0}`
  const more = '"ending":"settled","isEstimated":false,"status":200'
  return [
    `{"requestId":"req_a${index}",${more},"usage":${usage},"durationMs":1}\n`,
    `{"requestId":"req_b${index}",${more},"usage":${usage.replace(figure, '1')},"durationMs":${figure}}\n`,
  ].join('')
}

for (const kind of databases) {
  describe(`absurd figures on ${kind.name}`, () => {
    it('harm no other user, by whatever way they come in', { timeout: 180_000 }, () =>
      withFolder(async (folder) => {
        const database = await kind.create()
        const upstream = await openScripted(answerWithFigure)
        const world = new World(folder, database, upstream.origin)
        const answered = new Map<User, number>()
        try {
          await world.start()
          const body = JSON.stringify({ name: 'other gateway', scopes: ['verifier'] })
          world.verifierKey = String((await world.admin('POST', '/keys', body)).key)
          const innocent = await Promise.all(Array.from({ length: workers }, () => world.user()))

          /** Every figure by some of the ways, beside the workers; what they got wrong fails the test. */
          const round = async (names: readonly string[]) => {
            let isOver = false
            const wrong: string[] = []
            const working = innocent.map((user) => work(world, user, () => isOver, wrong))
            await Promise.all(
              Object.entries(absurdFigures).map(async ([name, figure]) => {
                const users = [
                  await world.user(),
                  await world.user({ tokenLimits: { claude: 9e6, gpt4: 9e6 } }),
                ] as const
                for (const way of names) await ways[way]?.(world, users, figure, name)
              }),
            )
            assert.deepEqual(wrong, [])
            return async () => {
              isOver = true
              for (const [index, count] of (await Promise.all(working)).entries()) {
                const user = innocent[index] ?? assert.fail()
                answered.set(user, (answered.get(user) ?? 0) + count)
              }
            }
          }

          const [first = '', second = '', ...others] = Object.keys(ways)
          const killed = await round([first, second])
          const dying = killed()
          await world.end('SIGKILL')
          await dying
          // Another instance would wait for 15 seconds until it takes this one for dead.
          await database.change('update instances set seen_at = 0')
          mkdirSync(world.folder, { recursive: true })
          const lines = Object.values(absurdFigures).map(journalOf)
          writeFileSync(join(world.folder, 'settlements-dead.journal'), lines.join(''))
          await world.start()
          const aside = readdirSync(world.folder).filter((file) => file.startsWith('set-aside-'))
          const kept = aside.map((file) => readFileSync(join(world.folder, file), 'utf8')).join('')
          for (const [index] of lines.entries())
            assert.ok(kept.includes(`req_a${index}`), `req_a${index} is kept`)
          await (await round(others))()

          const { users } = (await world.admin('GET', '/users')) as { users: (User & { type: string })[] }
          assert.ok(users.length >= workers + 4 * Object.keys(absurdFigures).length)
          for (const { id } of users
            .filter((user) => !innocent.some(({ id }) => id === user.id))
            .slice(0, 6)) {
            await world.admin('PUT', `/users/${id}`, '{"nickname":"healed","promptCount":1}')
            await world.admin('POST', `/users/${id}/quota/reset`)
            await world.admin('DELETE', `/users/${id}`)
          }
          await world.admin('POST', '/quota/reset', '{}')
          await world.admin('GET', '/usage?bucket=hour&groupBy=user')
          assert.equal(await world.end('SIGTERM'), 0, world.output())
          await world.start()
          assert.equal(await world.end('SIGTERM'), 0, world.output())

          const account = await readAccount(database.rows)
          for (const user of innocent) {
            const entries = account.entriesOf(user.id).filter(({ state }) => state === 'settled')
            const told = answered.get(user) ?? 0
            assert.ok(entries.length >= told, `${entries.length} of ${told} answers are booked`)
            for (const entry of entries)
              assert.deepEqual([entry.units, entry.is_estimated], [ordinaryUnits, 0])
          }
          assert.ok(
            [...answered.values()].every((count) => count > 2),
            'there were innocent requests',
          )
        } finally {
          await world.end('SIGKILL')
          await upstream.close()
          await database.remove()
        }
      }),
    )
  })
}
