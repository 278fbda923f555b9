import { createAdminRoutes } from '#admin/routes.ts'
import { builtInFamilies } from '#core/family.ts'
import type { Scenario } from './contract-scenarios.ts'
import { absent } from './support/admin-matching.ts'
import { type SentRequest, verifierSecret } from './support/admin-server.ts'

/** What every route of the admin API refuses, whoever it is about: played with the contract's scenarios. */
const requests = createAdminRoutes({ families: builtInFamilies, limits: {} }).map(({ method, path }) => ({
  method: method.toUpperCase(),
  path: path.replaceAll(/\{\w+\}/g, 'anybody'),
}))
const withBody = requests.filter(({ method }) => method === 'POST' || method === 'PUT')
/** Half a body wherever one is taken, which nobody may come to see. */
const halfSent: readonly SentRequest[] = requests.map((request) =>
  withBody.includes(request) ? { ...request, rawBody: '{' } : request,
)

const asVerifier = (request: SentRequest): SentRequest => ({
  ...request,
  headers: { authorization: `Bearer ${verifierSecret}`, ...request.headers },
})
const forbidden = { error: /scope "admin"/, code: 'forbidden' }

export const routeScenarios: readonly Scenario[] = [
  {
    name: 'a key of another scope is let in nowhere, before its body is read',
    steps: [...halfSent, { method: 'GET', path: '/admin/nothing' }].map((request) => ({
      send: asVerifier(request),
      status: 403,
      answer: forbidden,
      headers: { 'www-authenticate': absent, 'retry-after': absent },
    })),
  },
  {
    name: 'that it is told in the form it asks for',
    steps: [
      {
        send: asVerifier({
          method: 'GET',
          path: '/admin/users',
          headers: { accept: 'application/problem+json' },
        }),
        status: 403,
        answer: { ...forbidden, type: 'urn:tollgate:error:forbidden', status: 403 },
      },
    ],
  },
  {
    name: 'whoever sends no credential is let in nowhere',
    steps: halfSent.map((request) => ({
      send: { ...request, headers: { authorization: undefined } },
      status: 401,
      answer: { code: 'missing_credential' },
    })),
  },
  {
    name: 'half a body, a form, and too much are refused wherever a body is taken',
    // A file is read record by record, whatever its size; what shows an access token reads no body.
    steps: withBody
      .filter(({ path }) => path !== '/admin/users/import' && !path.endsWith('/reveal'))
      .flatMap((request) => [
        { send: { ...request, rawBody: '{' }, status: 400, answer: { code: 'bad_json' } },
        {
          send: {
            ...request,
            rawBody: 'a=b',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
          },
          status: 415,
          answer: { code: 'unsupported_media_type' },
        },
        {
          send: { ...request, rawBody: ' '.repeat(65_537) },
          status: 413,
          answer: { code: 'body_too_large' },
        },
      ]),
  },
  {
    name: 'the settings are read, and take no parameter',
    steps: [
      { send: { method: 'GET', path: '/admin/settings' }, status: 200, answer: { version: '0.0.0-test' } },
      {
        send: { method: 'GET', path: '/admin/settings?name=PORT' },
        status: 400,
        answer: { issues: [{ path: 'name' }] },
      },
    ],
  },
]
