/**
 * Shows /openapi.json and lets an administrator try it. Everything is built as elements, never as markup, so
 * that nothing an answer holds can become part of the page. The admin key lives in its field and nowhere else.
 */
const byId = (id) => document.getElementById(id)

/** Makes an element; attributes that are undefined are left out, `on…` are listeners. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(
    ...children.flat().filter((child) => child !== undefined && child !== null && child !== false),
  )
  return element
}

/** Text with `code` in it. */
function prose(text = '') {
  return text.split('`').map((part, index) => (index % 2 === 1 ? make('code', {}, part) : part))
}

function refName(schema) {
  return schema?.$ref?.split('/').at(-1)
}

/** A type in few words, with links to the schemas that have a name. */
function typeOf(schema = {}) {
  const name = refName(schema)
  if (name) return [make('a', { href: `#schema-${name}` }, name)]
  const combined = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (combined)
    return combined.flatMap((part, index) => (index === 0 ? typeOf(part) : [' or ', ...typeOf(part)]))
  const types = [schema.type].flat().filter(Boolean)
  if (schema.type === 'array' || types.includes('array')) {
    return ['list of ', ...typeOf(schema.items), ...(types.includes('null') ? [' or null'] : [])]
  }
  const known = schema.enum?.filter((value) => value !== null)
  if (known)
    return [
      known.map((value) => JSON.stringify(value)).join(' | '),
      ...(types.includes('null') ? [' | null'] : []),
    ]
  return [types.join(' or ') || 'anything', schema.format ? ` (${schema.format})` : '']
}

function boundsOf(schema = {}) {
  const bounds = [
    schema.minimum !== undefined && `at least ${schema.minimum}`,
    schema.maximum !== undefined && `at most ${schema.maximum}`,
    schema.maxLength !== undefined && `at most ${schema.maxLength} characters`,
    schema.maxItems !== undefined && `at most ${schema.maxItems} elements`,
    schema.default !== undefined && `default ${schema.default}`,
  ].filter(Boolean)
  const sentence = bounds.join(', ')
  return sentence === '' ? '' : ` ${sentence[0].toUpperCase()}${sentence.slice(1)}.`
}

function table(headings, rows) {
  const head = make(
    'tr',
    {},
    headings.map((heading) => make('th', { scope: 'col' }, heading)),
  )
  return make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, head), make('tbody', {}, rows)))
}

function row(...cells) {
  return make(
    'tr',
    {},
    cells.map((cell) => make('td', {}, cell)),
  )
}

function propertiesTable(schema) {
  const required = new Set(schema.required ?? [])
  const rows = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    row(
      [
        make('code', {}, name),
        required.has(name) && make('span', { class: 'required', title: 'always there' }, ' *'),
      ],
      typeOf(property),
      [...prose(property.description), boundsOf(property)],
    ),
  )
  return rows.length > 0 ? table(['Field', 'Type', ''], rows) : make('p', {}, typeOf(schema))
}

function jsonSchemaOf(content) {
  return content?.['application/json']?.schema
}

/** An operation's request and answers, to be read. */
function reference(operation) {
  const parameters = (operation.parameters ?? []).map((parameter) =>
    row(
      [make('code', {}, parameter.name), parameter.required && make('span', { class: 'required' }, ' *')],
      parameter.in,
      typeOf(parameter.schema),
      [...prose(parameter.description ?? parameter.schema?.description), boundsOf(parameter.schema)],
    ),
  )
  const body = jsonSchemaOf(operation.requestBody?.content)
  const answers = Object.entries(operation.responses).map(([status, answer]) =>
    row(make('code', {}, status), typeOf(jsonSchemaOf(answer.content)), prose(answer.description)),
  )
  return [
    parameters.length > 0 && [make('h3', {}, 'Parameters'), table(['Name', 'In', 'Type', ''], parameters)],
    body && [
      make('h3', {}, 'Body'),
      make('p', {}, typeOf(body), operation.requestBody.required ? '' : ', may be left out'),
    ],
    make('h3', {}, 'Answers'),
    table(['Status', 'Body', ''], answers),
  ].flat()
}

const examples = {
  createUser: { type: 'normal', nickname: 'Ada', tokenLimits: { turbo: 200000 } },
  bulkUpsertUsers: { users: [{ token: 'chosen-by-you', nickname: 'Ada' }] },
  upsertUser: { nickname: 'Ada', tokenLimits: { turbo: 200000 } },
}

function field(id, parameter) {
  const name = parameter.name
  const options = parameter.schema?.enum
  const attributes = { id, name, required: parameter.required, autocomplete: 'off', spellcheck: 'false' }
  const input = options
    ? make(
        'select',
        attributes,
        make('option', { value: '' }, '–'),
        options.map((value) => make('option', { value }, value)),
      )
    : make('input', { ...attributes, placeholder: parameter.in === 'header' ? 'header' : undefined })
  return { parameter, input, label: make('label', { for: id }, name) }
}

/** What the form says, as one request. The key is put in only when it is sent. */
function requestOf(method, path, fields, body) {
  const filled = fields.filter(({ input }) => input.value !== '')
  let target = path
  const query = new URLSearchParams()
  const headers = {}
  for (const { parameter, input } of filled) {
    if (parameter.in === 'path')
      target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value))
    else if (parameter.in === 'query') query.set(parameter.name, input.value)
    else headers[parameter.name] = input.value
  }
  const text = body?.value.trim() || undefined
  if (text) headers['content-type'] = 'application/json'
  const tail = query.size > 0 ? `?${query}` : ''
  return { method: method.toUpperCase(), url: `${location.origin}${target}${tail}`, headers, body: text }
}

function curlOf({ method, url, headers, body }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`
  const lines = [
    `curl ${method === 'GET' ? '' : `-X ${method} `}${quoted(url)}`,
    '-H "Authorization: Bearer $ADMIN_KEY"',
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body ? [`--data ${quoted(body)}`] : []),
  ]
  return lines.join(' \\\n  ')
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2)
  } catch {
    return text
  }
}

const shownCharactersMax = 200_000

async function send(request) {
  const key = byId('key').value.trim()
  const headers = { ...request.headers, ...(key && { authorization: `Bearer ${key}` }) }
  const startedAt = performance.now()
  const { method, url, body } = request
  const answer = await fetch(url, {
    method,
    headers,
    body,
    credentials: 'omit',
    cache: 'no-store',
    redirect: 'error',
  })
  const text = pretty(await answer.text())
  const shown =
    text.length > shownCharactersMax
      ? `${text.slice(0, shownCharactersMax)}\n… (${text.length} characters)`
      : text
  const head = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
  return {
    status: answer.status,
    ok: answer.ok,
    tookMs: Math.round(performance.now() - startedAt),
    head,
    text: shown,
  }
}

function showAnswer(place, answer) {
  const status = make('span', { class: `status ${answer.ok ? 'good' : 'bad'}` }, String(answer.status))
  place.replaceChildren(
    make(
      'div',
      { class: 'head' },
      make('span', {}, 'Answer ', status),
      make('span', {}, `${answer.tookMs} ms`),
    ),
    make('pre', { tabindex: '0' }, answer.text || '(no body)'),
    make('details', {}, make('summary', {}, 'Headers'), make('pre', {}, answer.head)),
  )
}

/** The form that tries an operation. */
function tryIt(method, path, operation) {
  const id = operation.operationId
  const fields = (operation.parameters ?? []).map((parameter, index) => field(`${id}-${index}`, parameter))
  const body = operation.requestBody && make('textarea', { id: `${id}-body`, spellcheck: 'false' })
  if (body) body.value = JSON.stringify(examples[id] ?? {}, undefined, 2)
  const curl = make('pre', { tabindex: '0' })
  const answer = make('div', { 'aria-live': 'polite' })
  const button = make('button', { class: 'main' }, 'Send')
  const copy = make('button', { type: 'button', class: 'quiet' }, 'Copy')
  const refresh = () => curl.replaceChildren(curlOf(requestOf(method, path, fields, body)))
  copy.addEventListener('click', async () => {
    await navigator.clipboard?.writeText(curl.textContent)
    copy.textContent = 'Copied'
    setTimeout(() => copy.replaceChildren('Copy'), 1500)
  })
  const form = make(
    'form',
    {
      class: 'try',
      oninput: refresh,
      async onsubmit(event) {
        event.preventDefault()
        button.disabled = true
        try {
          showAnswer(answer, await send(requestOf(method, path, fields, body)))
        } catch (error) {
          answer.replaceChildren(make('p', { class: 'required' }, `Nothing came back: ${error.message}`))
        } finally {
          button.disabled = false
        }
      },
    },
    make('strong', {}, 'Try it'),
    method !== 'get' && make('span', { class: 'muted' }, ' – this changes real data'),
    fields.length > 0 &&
      make(
        'div',
        { class: 'fields' },
        fields.flatMap(({ label, input }) => [label, input]),
      ),
    body && [make('label', { for: body.id, class: 'muted' }, 'Body'), body],
    make('div', { class: 'head' }, make('span', {}, 'As curl'), copy),
    curl,
    make('div', { class: 'actions' }, button),
    answer,
  )
  refresh()
  return form
}

function operationCard(method, path, operation) {
  return make(
    'section',
    { class: 'card', id: operation.operationId },
    make('h2', {}, operation.summary),
    make(
      'div',
      { class: 'route' },
      make('span', { class: `method ${method}` }, method),
      make('span', {}, path),
    ),
    operation.description && make('p', {}, prose(operation.description)),
    reference(operation),
    tryIt(method, path, operation),
  )
}

function schemaCard(name, schema) {
  return make(
    'section',
    { class: 'card', id: `schema-${name}` },
    make('h2', {}, name),
    schema.description && make('p', { class: 'muted' }, prose(schema.description)),
    schema.allOf
      ? schema.allOf.map((part) =>
          part.$ref ? make('p', {}, 'All of ', typeOf(part)) : propertiesTable(part),
        )
      : propertiesTable(schema),
  )
}

function contents(operations, schemas) {
  return [
    make('h2', {}, 'Operations'),
    operations.map(({ method, path, operation }) =>
      make(
        'a',
        { href: `#${operation.operationId}`, title: `${method.toUpperCase()} ${path}` },
        make('span', { class: `method ${method}` }, method),
        operation.summary,
      ),
    ),
    make('h2', {}, 'Schemas'),
    Object.keys(schemas).map((name) => make('a', { href: `#schema-${name}` }, name)),
    make('h2', {}, 'Files'),
    make('a', { href: '/openapi.json' }, 'openapi.json'),
    make('a', { href: '/contract.yaml' }, 'contract.yaml'),
  ].flat()
}

async function show() {
  const description = await (await fetch('/openapi.json')).json()
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )
  const schemas = description.components?.schemas ?? {}
  byId('version').textContent = `admin API ${description.info.version}`
  byId('contents').replaceChildren(...contents(operations, schemas))
  byId('content').replaceChildren(
    make('h1', {}, description.info.title),
    make('p', {}, prose(description.info.description)),
    ...operations.map(({ method, path, operation }) => operationCard(method, path, operation)),
    make('h1', {}, 'Schemas'),
    ...Object.entries(schemas).map(([name, schema]) => schemaCard(name, schema)),
  )
  // The place that the address names was not there yet when the page was opened.
  if (location.hash) byId(location.hash.slice(1))?.scrollIntoView()
}

byId('key-form').addEventListener('submit', (event) => event.preventDefault())
byId('theme').addEventListener('click', () => {
  const root = document.documentElement
  const isDark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme: dark)').matches
  root.dataset.theme = isDark ? 'light' : 'dark'
})
show().catch((error) =>
  byId('content').replaceChildren(
    make('p', { class: 'required' }, `The description could not be read: ${error.message}`),
  ),
)
