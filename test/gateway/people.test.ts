import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { FrontEndSettings } from '#core/front-end.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { openSimulatedUpstream, type SimulatedUpstream } from '#upstreams/simulated/server.ts'
import { by } from '../support/by.ts'
import { frontEndSecret, frontEndSettings, secondsNow, signName } from '../support/front-end.ts'
import { type Answer, call } from '../support/gateway-client.ts'
import { type Harness, openHarness, upstreamAt, waitUntil } from '../support/gateway-harness.ts'
import { type HeldUpstream, openHeldUpstream } from '../support/held-upstream.ts'
import { databases } from '../support/stores.ts'

/**
 * A front end asks for people: each is a user, held to own limits and to those of the front end, metered alone, and never
 * named to the provider.
 */
const chat = '/v1/chat/completions'
const body = { model: 'gpt-4o', max_tokens: 40, messages: [{ role: 'user', content: 'Hi' }] }
const message = { model: 'claude-x', max_tokens: 40, messages: [{ role: 'user', content: 'Hi' }] }

for (const database of databases) {
  describe(`people behind one access token on ${database.name}`, () => {
    let simulated: SimulatedUpstream
    let held: HeldUpstream
    let harness: Harness
    before(async () => {
      simulated = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 1 } })
      held = await openHeldUpstream(simulated.url)
      harness = await openHarness(database, {
        upstreams: [
          // As an operator might who lets all of a front end's headers pass.
          upstreamAt(held.url, { provider: 'openai', passRequestHeaders: ['x-person', 'x-openwebui-*'] }),
          upstreamAt(held.url, { provider: 'anthropic', passRequestHeaders: ['x-person'] }),
        ],
        gateway: { inputEstimate: 'bound' },
      })
    })
    after(async () => {
      await harness.close()
      await held.close()
      await simulated.close()
    })

    async function frontEnd(settings: Partial<FrontEndSettings> = {}, edit: UserEdit = {}) {
      const accessToken = await harness.createUser(edit)
      const { id } = await harness.userOf(accessToken)
      const set = await harness.store.frontEnds.setFrontEnd(
        id,
        frontEndSettings(settings),
        settings.kind === 'jwt' ? { kind: 'new', secret: frontEndSecret } : { kind: 'none' },
        by(Date.now()),
      )
      assert.equal(typeof set, 'object')
      return { id, accessToken }
    }

    const ask = (
      { accessToken }: { readonly accessToken: string },
      headers: Readonly<Record<string, string>> = {},
      more: object = {},
      path = chat,
    ): Promise<Answer> =>
      call(harness.port, {
        path,
        accessToken,
        headers,
        body: { ...(path === chat ? body : message), ...more },
      })
    const askAs = (front: { readonly accessToken: string }, person: string) =>
      ask(front, { 'x-person': person })

    async function personOf(front: { readonly id: string }, person: string) {
      const id = await harness.store.frontEnds.findPerson(front.id, person)
      assert.ok(id, `${person} is a user`)
      const user = await harness.store.users.findUser({ id }, Date.now())
      return user ?? assert.fail('the user is there')
    }

    const usedBy = async ({ id }: { readonly id: string }) => {
      const user = await harness.store.users.findUser({ id }, Date.now())
      return user?.quotas.get('gpt4')?.used ?? 0
    }

    /** What one request holds. */
    async function unitsOfOne(): Promise<number> {
      const probe = await harness.createUser({ quotaLimits: { gpt4: 0, claude: 0 } })
      const refused = await call(harness.port, { path: chat, accessToken: probe, body })
      return Number(/needs up to (\d+) units/.exec(refused.text)?.[1])
    }

    it('makes a user of each person, who is metered alone; the front end counts all of them', async () => {
      const front = await frontEnd({
        template: { type: 'normal', tags: ['web'], quotaLimits: { gpt4: 5000 } },
      })
      for (const person of ['ann', 'bo', 'ann'])
        assert.equal((await askAs(front, person)).status, 200, harness.log())
      await harness.settle()
      const [ann, bo] = [await personOf(front, 'ann'), await personOf(front, 'bo')]
      assert.deepEqual([ann.nickname, ann.tags, ann.promptCount], ['ann', ['web'], 2])
      assert.equal(ann.quotas.get('gpt4')?.limit, 5000)
      assert.equal(bo.promptCount, 1)
      assert.equal(await usedBy(front), (await usedBy(ann)) + (await usedBy(bo)))
      assert.ok((await usedBy(bo)) > 0)
      assert.equal((await harness.userOf(front.accessToken)).promptCount, 0, 'it is not metered for them')
    })

    it('reports the usage of a front end with that of its people, and counts nothing twice', async () => {
      const front = await frontEnd()
      await askAs(front, 'ann')
      await ask(front)
      await harness.settle()
      const question = {
        from: Date.now() - 7_200_000,
        to: Date.now() + 60_000,
        bucket: 'day',
        limit: 10_000,
      } as const
      const sum = async (more: object) => {
        const rows = await harness.store.usage.readUsage({ ...question, groupBy: [], ...more })
        return rows.reduce((total, { units }) => total + units, 0)
      }
      const ann = await personOf(front, 'ann')
      assert.equal(await sum({ userId: ann.id }), await usedBy(ann))
      assert.equal(await sum({ userId: front.id }), await usedBy(front), 'its own and theirs')
      assert.ok((await usedBy(front)) > (await usedBy(ann)))
      const total = await sum({})
      for (const groupBy of [['user'], ['tag'], ['user', 'family']])
        assert.equal(await sum({ groupBy }), total)
      const rows = await harness.store.usage.readUsage({ ...question, groupBy: ['user'], userId: front.id })
      assert.deepEqual(
        rows.map(({ userId }) => userId),
        [front.id],
      )
    })

    it('counts anew what people used, for the front end as well, when its period changes', async () => {
      const front = await frontEnd()
      await askAs(front, 'ann')
      await harness.settle()
      const used = await usedBy(front)
      const ref = { id: front.id }
      for (const period of ['monthly', 'daily'] as const)
        await harness.store.users.writeUsers([{ ref, edit: { limits: { period } } }], by(Date.now()))
      assert.equal(await usedBy(front), used)
    })

    const people = 64
    for (const [whose, personFits, frontEndFits] of [
      ['a person', 10, undefined],
      ['the front end', undefined, 10],
      ['both', 12, 7],
    ] as const) {
      it(`${people} requests at once on a quota of ${whose}: exactly as many pass as fit`, async () => {
        const one = await unitsOfOne()
        const limitOf = (fits: number | undefined) =>
          fits === undefined ? undefined : one * fits + (one >> 1)
        const [own, shared] = [limitOf(personFits), limitOf(frontEndFits)]
        const front = await frontEnd(
          { template: own === undefined ? {} : { quotaLimits: { gpt4: own } } },
          shared === undefined ? {} : { quotaLimits: { gpt4: shared } },
        )
        const fitting = Math.min(personFits ?? people, frontEndFits ?? people)
        let refused = 0
        held.hold()
        const asked = Array.from({ length: people }, async (_, index) => {
          // A front end's limit is one for all its people; a person's is for one of them.
          const answer = await askAs(front, personFits === undefined ? `p${index % 5}` : 'ann')
          if (answer.status !== 200) refused++
          return answer
        })
        await waitUntil(() => refused >= people - fitting, 'all others are refused', 30_000)
        held.release()
        const answers = await Promise.all(asked)
        const statuses = (status: number) => answers.filter((answer) => answer.status === status).length
        assert.deepEqual([statuses(200), statuses(429)], [fitting, people - fitting])
        const { error } = JSON.parse(answers.find(({ status }) => status === 429)?.text ?? '')
        const owner = fitting === frontEndFits ? 'front_end' : 'person'
        assert.equal(error.limit.of, owner)
        if (owner === 'front_end') {
          assert.deepEqual(Object.keys(error.limit).sort(), ['family', 'name', 'of'], 'no figure of others')
          assert.doesNotMatch(error.message, /\d/)
        } else assert.match(error.message, /^This person’s gpt4 quota/)
        await harness.settle()
      })
    }

    it('holds both to their rates and to their requests at once', async () => {
      const front = await frontEnd(
        { template: { limits: { requestsPerMinute: 2 } } },
        { limits: { requestsPerMinute: 3 } },
      )
      const statuses = []
      for (const person of ['ann', 'ann', 'ann', 'bo', 'bo'])
        statuses.push((await askAs(front, person)).status)
      assert.deepEqual(statuses, [200, 200, 429, 200, 429])
      const last = await askAs(front, 'cy')
      assert.equal(JSON.parse(last.text).error.limit.of, 'front_end')
      const crowded = await frontEnd({ template: { limits: { concurrentRequests: 1 } } })
      held.hold()
      const first = askAs(crowded, 'ann')
      await waitUntil(async () => harness.gateway.openRelays() === 1, 'one runs')
      assert.equal((await askAs(crowded, 'ann')).status, 429)
      held.release()
      assert.equal((await first).status, 200)
      await harness.settle()
    })

    it('never tells a provider the name', async () => {
      const name = 'ann-secret@example.com'
      const signed = await signName({ sub: name, email: name, exp: secondsNow() + 60 })
      simulated.clearServed()
      held.seen.length = 0
      const byHeader = await frontEnd()
      const byMember = await frontEnd({ kind: 'member', header: undefined as never })
      const byToken = await frontEnd({ kind: 'jwt', header: 'x-openwebui-user-jwt' })
      for (const path of [chat, '/v1/messages']) {
        const named =
          path === chat ? { user: name, safety_identifier: name } : { metadata: { user_id: name } }
        for (const front of [byHeader, byMember, byToken]) {
          const own = front === byHeader ? { 'x-person': name } : {}
          const headers = { ...own, 'x-openwebui-user-jwt': signed, 'x-openwebui-user-email': name }
          const answer = await ask(front, headers, named, path)
          assert.equal(answer.status, 200, answer.text)
          assert.equal((await personOf(front, name)).nickname, name)
        }
        // Also where it names none that counts.
        assert.equal((await ask(byToken, {}, named, path)).status, 200)
      }
      assert.equal(held.seen.length, 8)
      for (const text of held.seen) {
        assert.ok(!text.includes(name), text)
        assert.ok(!text.includes(signed.slice(0, 40)), text)
      }
      await harness.settle()
    })

    it('believes a token only if the shared secret signed it for now, with HMAC SHA-256', async () => {
      const front = await frontEnd({ kind: 'jwt', header: 'x-openwebui-user-jwt', isRequired: true })
      const now = secondsNow()
      const claims = { sub: 'u-1', email: 'ann@example.com', exp: now + 300 }
      const good = await signName(claims)
      const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`
      const wrong: Record<string, string> = {
        'another secret': await signName(claims, { secret: 'b-shared-secret-of-a-front-end-1' }),
        'another algorithm': await signName(claims, {
          alg: 'HS384',
          secret: `${frontEndSecret}${frontEndSecret}`,
        }),
        'an algorithm of the same key': await signName(claims, { alg: 'HS512' }),
        'no algorithm': none,
        'no end': await signName({ sub: 'u-1' }),
        'no name': await signName({ exp: now + 300 }),
        'an ended one': await signName({ ...claims, exp: now - 60 }),
        'an early one': await signName({ ...claims, nbf: now + 600 }),
        'another text': 'ann',
        'a changed name': good.replace(
          /\.[^.]+\./,
          `.${Buffer.from(JSON.stringify({ ...claims, sub: 'u-2' })).toString('base64url')}.`,
        ),
      }
      // The first request makes it known that it is a front end.
      for (let round = 0; round < 2; round++)
        for (const [what, token] of Object.entries(wrong)) {
          const answer = await ask(front, { 'x-openwebui-user-jwt': token })
          assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [403, 'person_unnamed'], what)
        }
      assert.equal((await ask(front)).status, 403, 'a person is required')
      assert.equal((await ask(front, { 'x-person': 'ann' })).status, 403)
      for (let round = 0; round < 3; round++)
        assert.equal((await ask(front, { 'x-openwebui-user-jwt': good })).status, 200)
      assert.equal((await personOf(front, 'u-1')).nickname, 'ann@example.com')
      harness.shiftClock(400_000)
      assert.equal((await ask(front, { 'x-openwebui-user-jwt': good })).status, 403, 'it has ended since')
      harness.shiftClock(-400_000)
      const other = { kind: 'new', secret: 'c-shared-secret-of-a-front-end-1' } as const
      const settings = frontEndSettings({ kind: 'jwt', header: 'x-openwebui-user-jwt', isRequired: true })
      await harness.store.frontEnds.setFrontEnd(front.id, settings, other, by(Date.now()))
      assert.equal(
        (await ask(front, { 'x-openwebui-user-jwt': good })).status,
        403,
        'the secret was replaced',
      )
      const renewed = await signName(claims, { secret: other.secret })
      assert.equal((await ask(front, { 'x-openwebui-user-jwt': renewed })).status, 200)
    })

    it('believes a header only from its networks', async () => {
      const front = await frontEnd({ networks: ['192.0.2.0/24'] })
      const from = (address: string) =>
        call(harness.port, {
          path: chat,
          accessToken: front.accessToken,
          headers: { 'x-person': 'ann', 'x-forwarded-for': address },
          body,
        })
      assert.equal((await from('198.51.100.1')).status, 200, 'it counts as the front end itself')
      await harness.settle()
      assert.equal(await harness.store.frontEnds.findPerson(front.id, 'ann'), undefined)
      assert.equal((await from('192.0.2.7')).status, 200)
      assert.ok(await personOf(front, 'ann'))
    })

    it('makes one user of a person who asks first many times at once, and no more than it may', async () => {
      const front = await frontEnd({ peopleMax: 3 })
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => askAs(front, `p${index % 2}`)),
      )
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
      assert.equal(await harness.store.frontEnds.countPeople(front.id), 2)
      assert.equal((await askAs(front, 'p2')).status, 200)
      for (const name of ['p3', 'p4', 'x'.repeat(300), 'a\u0001'.replace('\u0001', '\t')]) {
        const refused = await askAs(front, name)
        assert.equal(refused.status, 403, name)
      }
      assert.equal((await askAs(front, 'p0')).status, 200, 'who is one stays one')
    })

    it('refuses a person that is disabled, and all of a front end that is, at once', async () => {
      const front = await frontEnd()
      assert.equal((await askAs(front, 'ann')).status, 200)
      const { id } = await personOf(front, 'ann')
      await harness.store.users.disableUser({ id }, 'no more', by(Date.now()))
      const refused = await askAs(front, 'ann')
      assert.equal(refused.status, 403)
      assert.match(refused.text, /This person is disabled: no more/)
      assert.equal((await askAs(front, 'bo')).status, 200)
      await harness.store.users.disableUser({ id: front.id }, 'a private reason', by(Date.now()))
      for (const person of ['ann', 'bo', 'cy']) {
        const answer = await askAs(front, person)
        assert.equal(answer.status, 403)
        assert.match(answer.text, /front end that sent this request is disabled/)
        assert.ok(!answer.text.includes('private'))
      }
      assert.equal(await harness.store.frontEnds.findPerson(front.id, 'cy'), undefined)
    })

    it('refuses two names, the first of them empty or not', async () => {
      const front = await frontEnd()
      for (const names of [
        ['ann', 'bo'],
        ['', 'bo'],
        ['bo', ''],
      ]) {
        const answer = await call(harness.port, {
          ...{ path: chat, accessToken: front.accessToken, body },
          headers: { 'x-person': names },
        })
        assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [403, 'person_unnamed'])
      }
      assert.equal(await harness.store.frontEnds.countPeople(front.id), 0)
    })

    it('passes what a plain user sends, once it is no front end any more', async () => {
      for (const [name, required] of [
        ['ann', false],
        ['a new one', false],
        [7, true],
      ] as const) {
        const front = await frontEnd({ kind: 'member', header: undefined as never, isRequired: required })
        assert.equal((await ask(front, {}, { user: 'ann' })).status, 200)
        await harness.store.frontEnds.removeFrontEnd(front.id, by(Date.now()))
        for (let round = 0; round < 2; round++) {
          held.seen.length = 0
          assert.equal((await ask(front, {}, { user: name })).status, 200)
          assert.ok(
            held.seen[0]?.includes(JSON.stringify({ user: name }).slice(1, -1)),
            held.seen[0] ?? 'nothing was sent',
          )
        }
      }
      await harness.settle()
    })

    it('refuses a signed token whose name is none, also where none is required', async () => {
      const front = await frontEnd({ kind: 'jwt', header: 'x-openwebui-user-jwt' })
      const exp = secondsNow() + 300
      for (const sub of ['', ' ', '\u00a0', 7, null, ['ann'], 'a\u0000', '\ud800', 'x'.repeat(257)]) {
        const token = await signName({ sub, exp })
        const answer = await ask(front, { 'x-openwebui-user-jwt': token })
        assert.deepEqual([answer.status, JSON.parse(answer.text).error?.code], [403, 'person_unnamed'])
      }
      assert.equal((await ask(front)).status, 200, 'without a token it is its own')
      await harness.settle()
    })

    it('goes by new settings at once where the former ones refuse the request', async () => {
      const now = secondsNow()
      const former = { kind: 'jwt', header: 'x-openwebui-user-jwt', isRequired: true } as const
      const nameOf = (sub: string, secret = frontEndSecret) => signName({ sub, exp: now + 300 }, { secret })
      const other = { kind: 'new', secret: 'c-shared-secret-of-a-front-end-1' } as const
      const none = { kind: 'none' } as const
      const changes: [string, FrontEndSettings, typeof other | typeof none, Record<string, string>][] = [
        [
          'another secret',
          frontEndSettings(former),
          other,
          { 'x-openwebui-user-jwt': await nameOf('bo', other.secret) },
        ],
        ['another header', frontEndSettings({ isRequired: true }), none, { 'x-person': 'bo' }],
        ['no person required', frontEndSettings(), none, {}],
      ]
      for (const [what, settings, secret, headers] of changes) {
        const front = await frontEnd(former)
        assert.equal((await ask(front, { 'x-openwebui-user-jwt': await nameOf('ann') })).status, 200)
        await harness.store.frontEnds.setFrontEnd(front.id, settings, secret, by(Date.now()))
        assert.equal((await ask(front, headers)).status, 200, what)
      }
      const front = await frontEnd(former)
      assert.equal((await ask(front, { 'x-openwebui-user-jwt': await nameOf('ann') })).status, 200)
      assert.equal((await ask(front)).status, 403, 'a person is required')
      await harness.store.frontEnds.removeFrontEnd(front.id, by(Date.now()))
      assert.equal((await ask(front)).status, 200, 'it is no front end any more')
      await harness.settle()
      assert.equal((await harness.userOf(front.accessToken)).promptCount, 1)
    })

    it('is a plain user again when it is no front end any more', async () => {
      const front = await frontEnd()
      assert.equal((await askAs(front, 'ann')).status, 200)
      assert.equal(await harness.store.frontEnds.removeFrontEnd(front.id, by(Date.now())), true)
      assert.equal((await askAs(front, 'ann')).status, 200)
      await harness.settle()
      assert.equal((await harness.userOf(front.accessToken)).promptCount, 1)
      assert.equal((await personOf(front, 'ann')).promptCount, 1)
    })
  })
}
