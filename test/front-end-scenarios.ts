import type { Scenario, Step } from './contract-scenarios.ts'
import { absent, anything } from './support/admin-matching.ts'

/** Users that name the people they ask for; played with the contract's scenarios, by the same rules. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const user = (name: string): Step => ({
  send: { method: 'PUT', path: `/admin/users/${name}`, body: { nickname: name } },
  status: 200,
})
const at = (name: string) => `/admin/users/${name}/front-end`
const read = (name: string, status: number, answer?: unknown): Step => ({
  send: { method: 'GET', path: at(name) },
  status,
  answer,
})
const set = (name: string, body: unknown, status: number, answer?: unknown): Step => ({
  send: { method: 'PUT', path: at(name), ...(body !== undefined && { body }) },
  status,
  answer,
})
const remove = (name: string, status: number, answer?: unknown): Step => ({
  send: { method: 'DELETE', path: at(name) },
  status,
  answer,
})
const secret = 'a-shared-secret-of-thirty-two-characters'

export const frontEndScenarios: readonly Scenario[] = [
  {
    name: 'a user becomes a front end whose secret is never shown, and a plain user again',
    steps: [
      user('portal'),
      read('portal', 404, { code: 'not_found' }),
      set('portal', { kind: 'jwt' }, 409, { code: 'conflict', error: /send one/ }),
      set('portal', { kind: 'jwt', secret }, 200, {
        kind: 'jwt',
        header: 'x-openwebui-user-jwt',
        hasSecret: true,
        secret: absent,
        required: false,
        peopleMax: 1000,
        template: {},
        people: 0,
      }),
      set(
        'portal',
        {
          ...{ kind: 'jwt', header: 'X-Signed-By', required: true, peopleMax: 3, expiresAfterDays: 30 },
          networks: ['10.0.0.1', '10.0.0.0/8'],
          template: { type: 'temporary', tokenLimits: { gpt4: 500 }, requestsPerMinute: 3, tags: ['web'] },
        },
        200,
        { header: 'x-signed-by', hasSecret: true, required: true, networks: ['10.0.0.1', '10.0.0.0/8'] },
      ),
      read('portal', 200, {
        kind: 'jwt',
        peopleMax: 3,
        expiresAfterDays: 30,
        template: { type: 'temporary', tokenLimits: { gpt4: 500 }, requestsPerMinute: 3, tags: ['web'] },
      }),
      // Another kind needs no secret, and the one that was stored is gone with it.
      set('portal', { kind: 'member' }, 200, { kind: 'member', header: absent, hasSecret: false }),
      set('portal', { kind: 'jwt' }, 409),
      remove('portal', 200, { id: /^usr_/ }),
      remove('portal', 404, { code: 'not_found' }),
      read('portal', 404),
    ],
  },
  {
    name: 'settings of a front end that do not go together are refused',
    steps: [
      user('gate'),
      set('gate', undefined, 400, issue('kind')),
      set('gate', { kind: 'cookie' }, 400, issue('kind')),
      set('gate', { kind: 'header' }, 400, issue('header', /required/)),
      set('gate', { kind: 'header', header: 'x-who' }, 400, issue('networks', /required/)),
      set('gate', { kind: 'header', header: 'x-who', networks: [] }, 400, issue('networks')),
      set(
        'gate',
        { kind: 'header', header: 'Authorization', networks: ['::1'] },
        400,
        issue('header', /another use/),
      ),
      set('gate', { kind: 'header', header: 'x who', networks: ['::1'] }, 400, issue('header')),
      set('gate', { kind: 'member', header: 'x-who' }, 400, issue('header')),
      set('gate', { kind: 'member', secret }, 400, issue('secret')),
      set('gate', { kind: 'jwt', secret: 'short' }, 400, issue('secret', /at least 32/)),
      set('gate', { kind: 'member', peopleMax: 0 }, 400, issue('peopleMax')),
      set('gate', { kind: 'member', template: { type: 'temporary' } }, 400, issue('expiresAfterDays')),
      set('gate', { kind: 'member', template: { token: 'x' } }, 400, issue('template.token')),
      set('gate', { kind: 'member', template: { tokenLimits: { gtp4: 1 } } }, 400),
      set('gate', { kind: 'member', requierd: true }, 400, issue('requierd', 'is not a known field')),
      read('gate', 404),
    ],
  },
  {
    name: 'of a user who is not known nothing is a front end',
    steps: [
      read('who-is-this', 404),
      set('who-is-this', { kind: 'member' }, 404),
      remove('who-is-this', 404),
      ...['GET', 'DELETE'].map(
        (method): Step => ({
          send: { method, path: `${at('who-is-this')}?more=1` },
          status: 400,
          answer: issue('more', /no parameters/),
        }),
      ),
      {
        send: { method: 'POST', path: at('who-is-this') },
        status: 405,
        headers: { allow: 'GET, HEAD, PUT, DELETE' },
      },
    ],
  },
]
