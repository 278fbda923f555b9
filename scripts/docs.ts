import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OpenAPIHono, z } from '@hono/zod-openapi'
import { describeApi } from '#admin/openapi.ts'
import { openReference } from '#admin/reference/pages.ts'
import { createAdminRoutes } from '#admin/routes.ts'
import { defaultNames } from '#config/file.ts'
import { defaultRows, fileRows } from '#config/file-rows.ts'
import { readConfig } from '#config/read.ts'
import { variableRows, variablesOf } from '#config/variable-rows.ts'
import { createProblem, type ErrorCode, type ErrorRow, errorTable } from '#core/errors.ts'
import { builtInFamilies } from '#core/family.ts'
import { limitRows, meaningOf } from '#core/limits.ts'
import { meaningOfScope, scopes } from '#core/scopes.ts'
import { presets, providers } from '#providers/all.ts'
import type { Endpoint } from '#providers/provider.ts'
import {
  connectionsDefault,
  connectTimeoutDefaultMs,
  headersTimeoutDefaultMs,
  idleTimeoutDefaultMs,
} from '#upstreams/config.ts'
import { verifierRoutes } from '#verifier/routes.ts'

/**
 * Generates the parts of the reference that follow from the code: run `node scripts/docs.ts` after changing an error, a
 * route, a field of a user or a setting. Each part is between two markers; the text around them is written by hand. The
 * descriptions in the tables are written here, those of settings in `src/config`, and an item without one stops the run.
 */
export const root = join(import.meta.dirname, '..')

/** The generated parts by name, and the file of each. */
export const parts: Readonly<Record<string, { readonly file: string; readonly make: () => string }>> = {
  errors: { file: 'docs/reference/errors.md', make: errorRows },
  counts: { file: 'docs/reference/errors.md', make: countedRows },
  refusing: { file: 'docs/guides/users.md', make: refusingRows },
  environment: { file: 'docs/reference/configuration.md', make: environmentRows },
  file: { file: 'docs/reference/configuration.md', make: fileKeyRows },
  defaults: { file: 'docs/reference/configuration.md', make: defaultKeyRows },
  upstreams: { file: 'docs/reference/configuration.md', make: upstreamRows },
  presets: { file: 'docs/reference/configuration.md', make: presetRows },
  families: { file: 'docs/reference/configuration.md', make: familyRows },
  gateway: { file: 'docs/reference/http.md', make: gatewayRows },
  verifier: { file: 'docs/reference/http.md', make: verifierRows },
  admin: { file: 'docs/reference/http.md', make: adminRows },
  scopes: { file: 'docs/reference/http.md', make: scopeRows },
  list: { file: 'docs/reference/http.md', make: listRows },
  usage: { file: 'docs/reference/http.md', make: usageRows },
  requests: { file: 'docs/reference/http.md', make: requestRows },
  user: { file: 'docs/reference/http.md', make: userRows },
  pages: { file: 'docs/reference/http.md', make: pageRows },
}

/** A file's text with every part generated anew. Throws where a marker is missing. */
export function withParts(file: string, text: string): string {
  return Object.entries(parts)
    .filter(([, part]) => part.file === file)
    .reduce((before, [name, part]) => withPart(before, name, part.make()), text)
}

export function withPart(text: string, name: string, made: string): string {
  const [start, end] = [`<!-- made by scripts/docs.ts: ${name} -->`, '<!-- end -->']
  const from = text.indexOf(start)
  const to = text.indexOf(end, from)
  if (from < 0 || to < 0) throw new Error(`the markers of ${name} are not there`)
  return `${text.slice(0, from)}${start}\n\n${made}\n\n${text.slice(to)}`
}

/** A table as the formatter leaves it, every column as wide as its widest cell. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[], filler = ' ') =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, filler)).join(' | ')} |`
  return [line(head), line([], '-'), ...rows.map((row) => line(row))].join('\n')
}

/** The protocol that most clients speak first, whatever the order in which the code asks them. */
const inOrder = providers.toReversed()
const code = (text: string) => `\`${text}\``
const listed = (items: readonly string[]) => items.map(code).join(', ')
const escaped = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** What a table says of `name`; a thing that is not described stops the run. */
function wordsFor(words: Readonly<Record<string, string>>, name: string): string {
  const found = words[name]
  if (found === undefined) throw new Error(`scripts/docs.ts has no words for ${name}`)
  return found
}

// ---------------------------------------------------------------- errors

const rendered = z.object({ error: z.object({ type: z.string(), code: z.string().nullish() }) })

function errorRows(): string {
  // The table's own keys, which the type forgets.
  const codes = Object.keys(errorTable) as ErrorCode[]
  const rows = codes.map((name) => {
    const { status, fault, message } = errorTable[name]
    const shapes = inOrder.map((provider) => {
      const { error } = rendered.parse(JSON.parse(provider.renderProblem(createProblem(name), 'req_x')))
      const own = error.code === undefined || error.code === null ? '' : ` / ${code(error.code)}`
      return `${code(error.type)}${own}`
    })
    return [code(name), String(status), fault, escaped(message), ...shapes]
  })
  const names = inOrder.map(({ name }) => `\`${name}\` routes: type / code`)
  return table(['code', 'status', 'whose', 'what it says', ...names], rows)
}

const quotaWords = {
  used: 'units of this period',
  more: '`family`; `reserved`, what running requests hold; `needed`, what this one would take; `neededOutput`, how much of that is output that it asks for; `resetAt`, where waiting for it helps',
  retry:
    '1 where only running requests hold the rest; until `resetAt` where that is within a minute and the request fits into a whole period; else none',
}

/** Limits on a number: their refusals say which one it was. */
function countedRows(): string {
  const counts = limitRows.flatMap(([name, row]) => (row.kind === 'count' ? [{ name, ...row }] : []))
  const rows = [{ name: 'quota', refusal: 'quota_exceeded', counted: quotaWords }, ...counts].map(
    ({ name, refusal, counted: { used, more, retry } }) => [code(name), code(refusal), used, more, retry],
  )
  return table(['`name`', 'with', '`used` counts', 'also says', '`retry-after`'], rows)
}

/** What each limit of a user refuses, as the guide shows it. */
function refusingRows(): string {
  const limits = limitRows.flatMap(([name, row]) =>
    'refusal' in row ? [{ name, what: row.what, refusal: row.refusal }] : [],
  )
  const rows = [
    { name: 'tokenLimits', what: 'Units of a family in a period.', refusal: 'quota_exceeded' },
    ...limits,
    { name: 'expiresAt', what: 'From this instant every request is refused.', refusal: 'user_expired' },
  ].map(({ name, what, refusal }) => [code(name), what, `${statusOf(refusal)} ${code(refusal)}`])
  return table(['field', 'what', 'refused with'], rows)
}

function statusOf(name: string): number {
  const errors: Readonly<Record<string, ErrorRow>> = errorTable
  const row = errors[name]
  if (!row) throw new Error(`${name} is not in the table of errors`)
  return row.status
}

// ---------------------------------------------------------------- configuration

/** Every variable that reading the configuration asks for, in the order of the first time. */
export function environmentNames(): readonly string[] {
  const names = new Set<string>()
  readConfig(recording(names))
  return [...names]
}

function recording(names: Set<string>): Readonly<Record<string, string | undefined>> {
  return new Proxy<Record<string, string | undefined>>(
    {},
    {
      get(_, name) {
        if (typeof name === 'string') names.add(name)
        return name === 'CONFIG' ? '/dev/null' : undefined
      },
    },
  )
}

function environmentRows(): string {
  const names = environmentNames()
  const ofPresets = new Set(presets.flatMap(variablesOf))
  const plain = names.filter(
    (name) =>
      !name.endsWith('_FILE') &&
      name === name.toUpperCase() &&
      (name in variableRows || !ofPresets.has(name)),
  )
  for (const name of plain)
    if (!(name in variableRows)) throw new Error(`src/config/variable-rows.ts has no words for ${name}`)
  const config = readConfig({ CONFIG: '/dev/null' })
  const rows = Object.entries(variableRows).map(([name, { byDefault, what }]) => {
    if (!plain.includes(name)) throw new Error(`${name} is described, but nothing reads it`)
    const also = names.includes(`${name}_FILE`) ? `, ${code(`${name}_FILE`)}` : ''
    return [`${code(name)}${also}`, byDefault(config), what]
  })
  return table(['variable', 'default', 'what'], rows)
}

function fileKeyRows(): string {
  const rows = Object.entries(fileRows).flatMap(([name, row]) => [
    ...(name === 'upstreams' ? [['`defaults`', 'none', 'Applies to a user whose own field is absent.']] : []),
    [code(name), row.byDefault, row.what],
  ])
  return table(['key', 'default', 'what'], rows)
}

function defaultKeyRows(): string {
  const missing = defaultNames.find((name) => !(name in defaultRows))
  if (missing !== undefined) throw new Error(`src/config/file-rows.ts has no words for ${missing}`)
  const rows = Object.entries(defaultRows).map(([name, { byDefault, what }]) => [code(name), byDefault, what])
  return table(['key', 'default', 'what'], rows)
}

function upstreamRows(): string {
  const protocols = inOrder.map(({ name }) => code(name)).join(' or ')
  const number = (value: number) => value.toLocaleString('en-US')
  return table(
    ['key', 'default', 'what'],
    [
      [
        '`name`',
        'required',
        'Unique; 1 to 64 letters, digits, dots, dashes or underscores. It stands in the ledger and the log.',
      ],
      [
        '`preset`',
        '-',
        'One of [these](#presets): keys that are absent here are taken from it, its name included.',
      ],
      ['`provider`', 'required', `The protocol it speaks: ${protocols}.`],
      [
        '`baseUrl`',
        'required',
        `\`http\` or \`https\`. OpenAI's ends in \`/v1\`, Anthropic's does not: ${listed(inOrder.map((provider) => provider.publicBaseUrl))}. A query goes with every request; a user and password become Basic credentials.`,
      ],
      ['`apiKey`', '-', 'The credential, or `$NAME` for a variable of the environment (or its `NAME_FILE`).'],
      ['`apiKeyHeader`', "the protocol's own", 'The header that carries it, such as `api-key`.'],
      [
        '`headers`',
        '-',
        "Sent with every request, in place of the client's headers of the same names. `$NAME` is a variable of the environment; within a longer text its name stands in braces behind the `$`.",
      ],
      [
        '`models`',
        '`*`',
        "Globs over the models it serves, in any case; or a map from a name for clients to the upstream's name, and then only these are served ([names](../guides/upstreams.md#names)).",
      ],
      [
        '`streamOptions`',
        'ask',
        "`never`: for an upstream that refuses `stream_options`. Tollgate does not ask for usage there, and removes the client's `stream_options`.",
      ],
      [
        '`proxy`',
        'of the environment',
        'URL of the `http` or `https` proxy to the upstream, or `$NAME`; `none`: no proxy.',
      ],
      [
        '`caFile`',
        '-',
        'Certificates (PEM) of the authorities that may have issued its certificate, in place of the usual ones.',
      ],
      [
        '`outputCapMember`',
        'by its host',
        'The member that bounds a chat completion here: `max_tokens`, `max_completion_tokens` or `max_output_tokens`. OpenAI and Azure obey the second; every other server is expected to obey the first.',
      ],
      [
        '`outputCapMax`',
        '-',
        'The largest bound that it accepts, where it refuses larger ones. Tollgate writes no larger one into a request.',
      ],
      [
        '`refusesUnknown`',
        'false',
        'For an upstream that refuses unknown members: `outputCapMember` is written into chat completions only.',
      ],
      [
        '`passRequestHeaders`',
        '-',
        'Further headers of requests that are sent to it, as names or prefixes: `[x-acme-*]`. Credentials and addresses are never sent.',
      ],
      ['`passAnswerHeaders`', '-', 'Further headers of its answers that are sent to clients, likewise.'],
      [
        '`connectTimeoutMs`',
        number(connectTimeoutDefaultMs),
        'Until a connection is open, its encryption included. After that the next upstream is tried.',
      ],
      [
        '`headersTimeoutMs`',
        number(headersTimeoutDefaultMs),
        "From sending a request to the answer's headers, the wait for a connection included.",
      ],
      ['`idleTimeoutMs`', number(idleTimeoutDefaultMs), 'Between two pieces of an answer.'],
      [
        '`healthEveryMs`',
        'never',
        '1000 to 86400000. How often it is asked for its models, so that an upstream that is down rests before a request fails.',
      ],
      ['`connections`', number(connectionsDefault), 'Connections at once; a running answer holds one.'],
    ],
  )
}

function addressWords({ baseUrl, hostedUrl }: (typeof presets)[number]): string {
  if (baseUrl === undefined) return "the account's own"
  return hostedUrl === undefined ? code(baseUrl) : `${code(baseUrl)}; a key alone: ${code(hostedUrl)}`
}

function presetRows(): string {
  const rows = presets.map((preset) => [
    code(preset.name),
    addressWords(preset),
    listed(variablesOf(preset).flatMap((name) => (name.endsWith('KEY') ? [name, `${name}_FILE`] : [name]))),
    listed(Object.entries(preset.settings).map(([key, value]) => `${key}: ${value}`)) || '-',
    listed(preset.models),
  ])
  return table(['`preset`', 'address', 'variables', 'sets', 'models, beside others'], rows)
}

function familyRows(): string {
  return table(
    ['family', 'models'],
    builtInFamilies.map(({ name, models }) => [code(name), listed(models)]),
  )
}

// ---------------------------------------------------------------- http

function gatewayRows(): string {
  const rows = inOrder.flatMap((provider) =>
    provider.endpoints.map((endpoint) => [
      code(`POST ${endpoint.path}`),
      code(provider.name),
      meteringWords(endpoint),
    ]),
  )
  const models = [
    ['`GET /v1/models`', 'by the headers', 'the models that are served and that this user may ask for'],
    ['`GET /v1/models/{id}`', 'by the headers', 'one of them'],
  ]
  return table(['route', 'protocol', 'what'], [...rows, ...models])
}

function meteringWords({ isMetered, isByRequest }: Endpoint): string {
  if (!isMetered) return 'admitted and relayed; nothing is charged'
  return isByRequest
    ? "admitted, relayed; metered by the provider's figures, or counted as a request where it states none"
    : 'admitted, metered, relayed'
}

const verifierWords: Readonly<Record<string, string>> = {
  '/auth/verify': 'admits or refuses a request: for a proxy, with the identity in headers',
  '/auth/check': 'whether a user may ask, and why not; the question is not counted',
  '/auth/introspect': 'RFC 7662; the key also as HTTP Basic',
  '/usage': 'books usage that was metered elsewhere, each event once',
  '/usage/reservations': "admits and reserves, as for a request at Tollgate's own gateway",
  '/usage/reservations/{id}/settle': 'closes it with what was used',
  '/usage/reservations/{id}/release': 'closes it without a charge',
  '/usage/reservations/{id}/renew': 'extends its lease',
}

function verifierRows(): string {
  const rows = verifierRoutes.map(({ methods = ['ANY'], template }) => [
    code(`${methods} ${template}`),
    wordsFor(verifierWords, template),
  ])
  return table(['route', 'what'], rows)
}

const adminRoutes = createAdminRoutes({ families: builtInFamilies, limits: {} })

function adminRows(): string {
  const rows = adminRoutes.map(({ method, path, need, summary = '', refusals }) => [
    code(`${method.toUpperCase()} ${path}`),
    need === 'any' ? 'any' : code(need),
    summary,
    listed(refusals),
  ])
  return table(['route', 'scope', 'what', 'refusals of its own'], rows)
}

function scopeRows(): string {
  return table(
    ['scope', 'allows'],
    scopes.map((scope) => [code(scope), meaningOfScope(scope)]),
  )
}

const partSchema = z.object({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.string().optional(),
  enum: z.array(z.string().nullable()).optional(),
  maxLength: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  maxItems: z.number().optional(),
  default: z.number().optional(),
  description: z.string().optional(),
})
const fieldSchema = partSchema.extend({ anyOf: z.array(partSchema).optional() })
const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ parameters: z.array(z.object({ name: z.string(), schema: fieldSchema })).optional() }),
    ),
  ),
  components: z.object({
    schemas: z.record(z.string(), z.object({ properties: z.record(z.string(), fieldSchema).optional() })),
  }),
})

function description() {
  return documentSchema.parse(JSON.parse(JSON.stringify(describeApi(new OpenAPIHono(), adminRoutes, ''))))
}

/** The types that a field may have, `null` among them where it clears. */
function typesOf(field: z.infer<typeof fieldSchema>): readonly string[] {
  return [field, ...(field.anyOf ?? [])].flatMap(({ type }) => type ?? [])
}

function typeText(field: z.infer<typeof fieldSchema>): string {
  const parts = field.anyOf?.filter((part) => part.type !== 'null')
  if (parts) return parts.map(typeText).join(' or ')
  const values = field.enum?.filter((value) => value !== null)
  const types = [field.type ?? 'map by family'].flat().filter((type) => type !== 'null')
  if (field.format === 'date-time') return 'date-time'
  const range = [
    field.minimum !== undefined && `from ${field.minimum}`,
    field.maximum !== undefined && `to ${field.maximum}`,
  ]
  const bounds = [
    field.maxLength !== undefined && `at most ${field.maxLength} characters`,
    field.maxItems !== undefined && `at most ${field.maxItems}`,
    field.default !== undefined && `default ${field.default}`,
  ].filter((bound) => bound !== false)
  const kind = [values ? listed(values) : types.join(' or '), ...range].filter(Boolean).join(' ')
  return [kind, ...bounds].join(', ')
}

const parameterWords: Readonly<Record<string, string>> = {
  limit: 'Users on a page.',
  cursor: '`nextCursor` of the page before. It holds sort and filter; repeating them is allowed.',
  sort: 'A minus sign sorts descending. Users without the field stand last. Without `sort`: order of creation.',
  q: 'Part of a nickname, of an id, of the shown part of an access token (`…` and its last four characters), of a tag, of the note, or of a member of `meta` (as `team.name: blue`); case aside.',
  type: 'Only users of that type.',
  state: 'Only users that are in this state now.',
  tag: 'Only users who carry that tag; up to 5 with commas between: all of them.',
  usedFrom:
    'Only users whose token was last used at this instant or later. Epoch milliseconds, a date, or a time such as `2026-11-22T13:00:00Z`.',
  usedBefore: 'Only users whose token was last used before this instant, or never.',
  usedPercent: 'Only users who have used at least this share of a limited quota in its current period.',
  family: 'With `usedPercent`: only of this family.',
  addresses: 'Only users of whom at least so many addresses are kept.',
  run: 'Only users whom this bulk action (`blk_…`) has changed: for a day at least, and until it is undone.',
}

function listRows(): string {
  const parameters = description().paths['/admin/users']?.get?.parameters ?? []
  const rows = parameters.map(({ name, schema }) => [
    code(name),
    typeText(schema),
    wordsFor(parameterWords, name),
  ])
  return table(['parameter', 'type', 'what'], rows)
}

const usageWords: Readonly<Record<string, string>> = {
  bucket:
    'Length of the buckets. Absent: minutes up to 2 hours, hours up to 8 days, else days of the configured time zone.',
  from: 'In the first bucket. Epoch milliseconds, a date (its first instant in the configured time zone), or a time such as `2026-11-22T13:00:00Z`. Absent: 24 hours before `to`.',
  to: 'The first instant after the last bucket, written likewise; the answer holds that whole bucket. Absent: now.',
  family: 'Only that family.',
  model: 'Only that model, by the name that the client sent.',
  upstream: 'Only that upstream; empty for requests that were sent to none.',
  status: 'Only requests that were answered with that status; 0 where the client hung up before the answer.',
  limit: 'Rows at most; `truncated` says whether there were more.',
  format: '`Accept: text/csv` asks for CSV as well; then `x-truncated` says whether there were more.',
  groupBy:
    'Of `user`, `tag`, `family`, `model`, `upstream`, `status`, separated by commas. Absent: one group.',
  user: 'Only the user with that id, also one who was removed.',
  tag: 'Only of users who carry that tag now.',
}

function usageRows(): string {
  const parameters = description().paths['/admin/usage']?.get?.parameters ?? []
  const rows = parameters.map(({ name, schema }) => [
    code(name),
    typeText(schema),
    wordsFor(usageWords, name),
  ])
  return table(['parameter', 'type', 'what'], rows)
}

const requestWords: Readonly<Record<string, string>> = {
  id: 'The one request with that id, as `x-request-id` and the log say it. Stands alone.',
  user: 'Only of the user with that id, also one who was removed.',
  state:
    '`open` still runs; `released` cost nothing; `abandoned` was left open by a process or a lease that ended.',
  status: 'Only requests that were answered with that status; 0 where the client hung up before the answer.',
  code: 'Only requests that failed or were cut off with that [code](errors.md), or `client_gone`.',
  family: 'Only that family.',
  model: 'Only that model, by the name that the client sent.',
  upstream: 'Only that upstream; empty for requests that were sent to none.',
  from: 'Came in at this instant or later. Epoch milliseconds, a date, or a time such as `2026-11-22T13:00:00Z`.',
  to: 'Came in before this instant.',
  limit: 'Requests in a page at most.',
  cursor: '`nextCursor` of the page before. It holds the filter; repeating it is allowed.',
}

function requestRows(): string {
  const parameters = description().paths['/admin/requests']?.get?.parameters ?? []
  const rows = parameters.map(({ name, schema }) => [
    code(name),
    typeText(schema),
    wordsFor(requestWords, name),
  ])
  return table(['parameter', 'type', 'what'], rows)
}

const fieldWords: Readonly<Record<string, string>> = {
  token: 'The access token. In a bulk call it names the user; with a path it must be the one of the path.',
  id: 'Replaces the access token in every path, and is not secret.',
  ip: 'Addresses that the user came from, newest last; at most 256 are kept.',
  nickname: 'A name for people; one line.',
  type: '`special` is metered but exempt from quota, rate, concurrency and address limits; `temporary` needs `expiresAt`.',
  promptCount: 'Metered requests so far.',
  tokenLimits: 'Quota limits by family. In a body: merged; `null` returns a family to the default.',
  tokenCounts:
    'Units used by family in the current period. In a body: sets the count, and books the difference.',
  createdAt: 'When the user was made.',
  lastUsedAt: 'When the access token was last used.',
  disabledAt:
    'From this instant, which may be in the future, the access token is refused. `null` enables the user again.',
  disabledReason: 'Told to the user with the refusal.',
  expiresAt: 'From this instant the access token is refused; on every type.',
  ...Object.fromEntries(limitRows.map(([name, row]) => [name, `${row.what} ${meaningOf(row)}`.trim()])),
  adminNote: 'For administrators; never shown to the user.',
  tags: 'Up to 20 names of up to 50 characters without a comma, such as a team; never shown to the user.',
  meta: 'Any JSON object, at most 16 KiB and 16 levels deep.',
}

function userRows(): string {
  const { schemas } = description().components
  const [edit, answer] = [schemas.UserEdit?.properties ?? {}, schemas.User?.properties ?? {}]
  const rows = Object.entries({ ...answer, ...edit }).map(([name, field]) => {
    const mayBeNull = typesOf(field).includes('null') || name === 'tokenLimits' ? 'yes' : ''
    return [code(name), typeText(field), name in edit ? mayBeNull : 'not taken', wordsFor(fieldWords, name)]
  })
  return table(['field', 'type', '`null` clears', 'what'], rows)
}

const pageWords: Readonly<Record<string, string>> = {
  '/openapi.json': 'OpenAPI 3.1 of the admin API, made from the code',
  '/contract.yaml': "the admin API's contract, as it was given",
  '/docs': 'a page to read and try the admin API; it loads nothing from other hosts',
}

function pageRows(): string {
  const pages = openReference('', {}).filter(({ path }) => !path.startsWith('/docs/'))
  return table(
    ['route', 'what'],
    pages.map(({ path }) => [code(`GET ${path}`), wordsFor(pageWords, path)]),
  )
}

if (import.meta.main) {
  for (const file of new Set(Object.values(parts).map((part) => part.file))) {
    const path = join(root, file)
    writeFileSync(path, withParts(file, readFileSync(path, 'utf8')))
    console.log(`wrote ${file}`)
  }
}
