import type { Scenario, Step } from './contract-scenarios.ts'
import { anything } from './support/admin-matching.ts'
import { type SentRequest, verifierSecret } from './support/admin-server.ts'

/** What is done about single access tokens; played with the contract's scenarios, by the same rules. */
const issue = (path: string, message: unknown = anything) => ({
  code: 'bad_request',
  issues: [{ path, message }],
})
const lookUp = (body: unknown, status: number, answer?: unknown): Step => ({
  send: { method: 'POST', path: '/admin/tokens/lookup', ...(body !== undefined && { body }) },
  status,
  answer,
})
const bare = (headers: SentRequest['headers']): SentRequest => ({
  method: 'POST',
  path: '/admin/tokens/lookup',
  body: { token: 'leaked one/+ü%' },
  ...(headers && { headers }),
})

const lookingUp: readonly Scenario[] = [
  {
    name: 'the user of an access token that leaked',
    steps: [
      {
        send: {
          method: 'PUT',
          path: `/admin/users/${encodeURIComponent('leaked one/+ü%')}`,
          body: { nickname: 'leaky' },
        },
        status: 200,
      },
      {
        ...lookUp({ token: 'leaked one/+ü%' }, 200, { id: /^usr_/, nickname: 'leaky', type: 'normal' }),
        headers: { etag: '"1"' },
      },
      lookUp({ token: 'leaked one/+u%' }, 404, { code: 'not_found' }),
      lookUp({ token: 'leaked one/+ü%'.toUpperCase() }, 404, { code: 'not_found' }),
    ],
  },
  {
    name: 'an access token to look up is named as one',
    steps: [
      lookUp(undefined, 400, issue('token')),
      lookUp({}, 400, issue('token')),
      lookUp({ token: '' }, 400, issue('token', /1 to 512 characters/)),
      lookUp({ token: 'x'.repeat(513) }, 400, issue('token', /1 to 512 characters/)),
      lookUp({ token: 'leaked\n' }, 400, issue('token', /control characters/)),
      lookUp({ token: 'usr_000000000000000000000000' }, 400, issue('token', /user's id/)),
      lookUp({ token: 7 }, 400, issue('token')),
      lookUp({ token: 'x', id: 'y' }, 400, issue('id', 'is not a known field')),
      lookUp([], 400, { code: 'bad_request' }),
      {
        send: { method: 'POST', path: '/admin/tokens/lookup?token=x', body: { token: 'leaked' } },
        status: 400,
        answer: issue('token', /no parameters/),
      },
      {
        send: { method: 'POST', path: '/admin/tokens/lookup', rawBody: '{' },
        status: 400,
        answer: { code: 'bad_json' },
      },
      {
        send: { ...bare({ 'content-type': 'text/plain' }) },
        status: 415,
      },
      lookUp({ token: 'x'.repeat(70_000) }, 413),
    ],
  },
  {
    name: 'looking an access token up takes an admin key',
    steps: [
      { send: bare({ authorization: undefined }), status: 401, answer: { code: 'missing_credential' } },
      { send: bare({ authorization: `Bearer ${verifierSecret}` }), status: 403 },
      { send: { method: 'GET', path: '/admin/tokens/lookup' }, status: 405, headers: { allow: 'POST' } },
      { send: { method: 'GET', path: '/admin/tokens/leaked' }, status: 404 },
    ],
  },
]

export const accessTokenScenarios: readonly Scenario[] = [...lookingUp]
