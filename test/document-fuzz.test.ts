import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { createAdminRoutes } from '#admin/routes.ts'
import { builtInFamilies } from '#core/family.ts'
import {
  type AdminServer,
  openAdminServer,
  type Received,
  type SentRequest,
  startAt,
} from './support/admin-server.ts'
import {
  type ApiDocument,
  type DocumentedOperation,
  type Parameter,
  readApiDocument,
} from './support/api-document.ts'
import { by } from './support/by.ts'
import { junk, likely, spoilt, valuesOf, type Ways } from './support/document-values.ts'
import { databases } from './support/stores.ts'

/**
 * Requests that the API's description allows, and requests near them, sent to every operation of it: no failure, no answer
 * that is not described, nothing accepted that the description refuses, nothing changed by what was refused. An operation
 * that is added to the list of routes is tried here as well.
 */
const requestsEach = 40

const ids = createAdminRoutes({ families: builtInFamilies, limits: {} }).map(({ operationId }) => operationId)

for (const kind of databases) {
  describe(`requests from the API's own description on ${kind.name}`, { timeout: 400_000 }, () => {
    let server: AdminServer
    let document: ApiDocument
    /** What the parameters of a path may name. */
    const names = { token: [] as string[], id: [] as string[] }

    before(async () => {
      server = await openAdminServer(kind)
      document = readApiDocument((await server.send({ method: 'GET', path: '/openapi.json' })).text)
      const { users, adminKeys } = server.store
      for (const accessToken of ['fuzz-one', 'fuzz-two', 'usr_fuzz', 'a/b c%?']) {
        await users.writeUsers(
          [{ ref: { accessToken }, edit: { nickname: accessToken } }],
          by(server.clock.now),
        )
        const user = await users.findUser({ accessToken }, server.clock.now)
        names.token.push(accessToken, user?.id ?? assert.fail())
      }
      for (const name of ['spare', 'other-spare', 'last-spare']) {
        const spare = { name, secret: `a-key-of-the-fuzz-${name}`, scopes: ['users:read'] } as const
        names.id.push((await adminKeys.insertAdminKey(spare, by(server.clock.now))).id)
      }
    })
    after(() => server.close())

    /** Everything that is stored of users and keys. */
    async function snapshot(): Promise<string> {
      const { users } = await server.store.users.listUsers({ limit: 10_000, now: server.clock.now })
      const keys = (await server.store.adminKeys.listAdminKeys()).map(({ lastUsedAt: _, ...key }) => key)
      return JSON.stringify([users, keys], (_name, value) => (value instanceof Map ? [...value] : value))
    }

    /** What is wrong with an answer, in sentences. */
    async function faultsOf(
      operation: DocumentedOperation,
      request: SentRequest,
      { status, headers, text }: Received,
      before: string,
    ): Promise<readonly string[]> {
      const [type = ''] = String(headers['content-type'] ?? '').split(';')
      const faults = [...operation.faultsOf(status, type, text)]
      if (status >= 500) faults.push('it failed')
      if (status < 400 && request.rawBody === undefined && !operation.takes(request.body))
        faults.push('it takes a body that is not described')
      if (status >= 400 && (await snapshot()) !== before) faults.push('a refused request changed something')
      return faults
    }

    it('describes every operation of the list', () => {
      assert.deepEqual(document.operations.map(({ id }) => id).toSorted(), ids.toSorted())
    })

    for (const id of ids)
      it(`${id}: nothing but what is described, and nothing changed by a refusal`, async () => {
        const operation = document.operations.find((each) => each.id === id) ?? assert.fail(id)
        let before = await snapshot()
        await fc.assert(
          fc.asyncProperty(requestsOf(operation, document, names), async (request) => {
            const received = await server.send(request)
            const what = `${request.method} ${request.path} ${JSON.stringify(request.headers)} ${JSON.stringify(request.rawBody ?? request.body)} -> ${received.status} ${received.text.slice(0, 400)}`
            const faults = await faultsOf(operation, request, received, before)
            if (request.method !== 'GET') before = await snapshot()
            assert.deepEqual(faults, [], what)
          }),
          { numRuns: requestsEach },
        )
      })
  })
}

interface Names {
  readonly token: readonly string[]
  readonly id: readonly string[]
}

/** A session beside the key of every request, and a cookie of something else. */
const cookies = ['__Host-tollgate-session=x', 'tollgate-session=x', 'other=x']

/** Values that come through the rules behind the schemas, by the name of a member or parameter. */
function knownValues(names: Names): Ways['known'] {
  const times = fc.constantFrom(startAt + 1000, startAt + 86_400_000, '2026-01-02T00:00:00Z', '2026-02-03')
  const time = fc.constantFrom(startAt - 3_600_000, '2025-12-31T00:00:00Z', '2025-12-31')
  const later = fc.constantFrom(startAt, '2026-01-01T02:00:00+01:00', '2026-01-02')
  return {
    token: fc.constantFrom(...names.token),
    user: fc.constantFrom(...names.token),
    family: fc.constantFrom('turbo', 'gpt4', 'claude', 'other'),
    allowedNetworks: fc.subarray(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'], { minLength: 1 }),
    ip: fc.subarray(['192.0.2.1', '2001:db8::1']),
    groupBy: fc.constantFrom('family', 'model,status', 'upstream', 'user', 'tag', 'nothing'),
    expiresAt: times,
    previousUntil: times,
    from: time,
    usedFrom: time,
    to: later,
    usedBefore: later,
  }
}

/** Requests of an operation: most are described, some are spoilt in one place. */
function requestsOf(
  { method, path, parameters, body, textTypes }: DocumentedOperation,
  { resolve }: ApiDocument,
  names: Names,
): fc.Arbitrary<SentRequest> {
  const known = knownValues(names)
  const named = fc.constantFrom(...(path.includes('{id}') ? names.id : names.token))
  const valuesFor = ({ name, schema }: Parameter) =>
    likely(known[name], fc.oneof({ weight: 6, arbitrary: valuesOf(schema, { resolve, known }) }, junk))
  const segments = likely(named, fc.string({ minLength: 1 }))
  /** Few at once: a single wrong one refuses the request. */
  const placed = (where: Parameter['in']) => {
    const all = parameters.filter((each) => each.in === where)
    return fc
      .subarray(all, { maxLength: Math.min(3, all.length) })
      .chain((chosen) =>
        fc.tuple(
          ...chosen.map((each) => valuesFor(each).map((value) => [each.name, textOf(value)] as const)),
        ),
      )
  }
  const described = body && valuesOf(body, { resolve, known })
  const bodies = described
    ? fc.oneof(
        { weight: 5, arbitrary: described },
        { weight: 4, arbitrary: spoilt(described) },
        { weight: 1, arbitrary: junk },
      )
    : fc.constant(undefined)
  const types = fc.constantFrom(undefined, 'application/json', 'application/problem+json', 'text/csv', '*/*')
  return fc
    .record({
      segment: segments,
      query: placed('query'),
      header: placed('header'),
      type: types,
      body: bodies,
      sent: textsOf(textTypes),
      cookie: fc.option(fc.constantFrom(...cookies), { freq: 9 }),
    })
    .map(({ segment, query, header, type, body: value, sent: other, cookie }) => {
      const filled = path.replaceAll(/\{\w+\}/g, encoded(String(segment)))
      const search = new URLSearchParams(query.map(([name, text]) => [name, text])).toString()
      const headers = Object.fromEntries(header.map(([name, text]) => [name, sendable(text)]))
      return {
        method,
        path: search === '' ? filled : `${filled}?${search}`,
        headers: {
          ...headers,
          accept: type,
          ...(cookie !== null && { cookie }),
          ...(other && { 'content-type': other.type }),
        },
        ...(other ? { rawBody: other.text } : { body: value }),
      }
    })
}

/** A body that is not JSON, in about half of the requests where there may be one. */
function textsOf(types: readonly string[]) {
  if (types.length === 0) return fc.constant(undefined)
  const line = fc.oneof(junk.map(textOf), fc.constant('token,nickname'), fc.string())
  const text = fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n'))
  return fc.option(fc.record({ type: fc.constantFrom(...types), text }), { nil: undefined, freq: 2 })
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Dots would be another path for clients that resolve them, and an empty segment another route. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E') || 'x'
}

/** What a header can hold. */
function sendable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').trim()
}
