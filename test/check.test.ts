import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeFolder } from './support/folder.ts'
import { closedOrigin, json, openScripted, type Scripted } from './support/gateway-scripted.ts'
import { runProgram } from './support/process.ts'

/** `tollgate check` on the program itself: what it says, and its exit code. */
describe('tollgate check', () => {
  const folder = makeFolder()
  let upstream: Scripted
  before(async () => {
    upstream = await openScripted((request, response, socket) => {
      if (request.url.startsWith('/moved')) {
        const location = 'https://user:secret-4711@login.example:8443/sign/in?session=secret-4711#secret-4711'
        response.writeHead(302, { location }).end()
        return
      }
      if (request.url.startsWith('/odd')) {
        const ids = ['evil\u001b[2Jmodel', 'two\nof 2 work', 'c1\u009b31m', 'right\u202eleft', 'plain-é']
        json({ data: ids.map((id) => ({ id })) })(request, response, socket)
        return
      }
      const isLet = request.headers.authorization === 'Bearer right'
      const isList = request.url.startsWith('/v1/models')
      const script = !isLet
        ? json({}, 401)
        : !isList
          ? json({}, 404)
          : json({ data: [{ id: 'llama3:8b' }, { id: 'x' }] })
      script(request, response, socket)
    })
  })
  after(async () => {
    await upstream.close()
    folder.remove()
  })

  async function check(yaml: string, env: Readonly<Record<string, string>> = {}) {
    const path = join(folder.path, 'tollgate.yaml')
    writeFileSync(path, yaml)
    return runProgram(['check'], { CONFIG: path, ...env })
  }
  const listed = (...upstreams: string[]) =>
    `upstreams:\n${upstreams.map((one) => `  - {provider: openai, ${one}}\n`).join('')}`

  it('says which settings are not their defaults, and where they came from', async () => {
    const { output } = await check(
      `timeZone: Europe/Paris\n${listed(`name: a, baseUrl: "${upstream.origin}/v1", apiKey: $KEY`)}`,
      { KEY: 'right', BULK_USERS_MAX: '7', ADMIN_KEY: 'sentinel-admin-key-1' },
    )
    assert.match(output, /^BULK_USERS_MAX: 7 \(environment\)$/m)
    assert.match(output, /^ADMIN_KEY: set \(environment\)$/m)
    assert.match(output, /^timeZone: "Europe\/Paris" \(tollgate.yaml\)$/m)
    assert.doesNotMatch(output, /sentinel|^PORT/m)
  })

  it('says what is there and served, and ends with 0', async () => {
    const { code, output } = await check(listed(`name: a, baseUrl: "${upstream.origin}/v1", apiKey: $KEY`), {
      KEY: 'right',
    })
    assert.match(output, /a \(http:.*\)\n {2}works: 2 models there, 2 served here: llama3:8b, x\n/)
    assert.equal(code, 0)
    assert.doesNotMatch(output, /right/)
  })

  it('names what a list or a map spells out and the upstream does not have', async () => {
    const at = `baseUrl: "${upstream.origin}/v1", apiKey: right`
    const { code, output } = await check(
      listed(
        `name: a, ${at}, models: [LLAMA3:8b, gone]`,
        `name: b, ${at}, models: {fast: "llama3:8b", slow: "lost"}`,
      ),
    )
    assert.match(output, /does not list gone/)
    assert.match(output, /does not list lost/)
    assert.match(output, /1 served here: fast|2 served here: fast, slow/)
    assert.doesNotMatch(output, /works:/)
    assert.equal(code, 1)
  })

  it('says what a redirect means and where it leads, without secrets', async () => {
    const { code, output } = await check(listed(`name: a, baseUrl: "${upstream.origin}/moved/v1"`))
    assert.match(output, /it answered 302, a redirect to https:\/\/login\.example:8443\/sign\/in\n/)
    assert.match(output, /redirects are not followed, and baseUrl is not the address/)
    assert.doesNotMatch(output, /4711|its own log/)
    assert.equal(code, 1)
  })

  it('lets no name of a model move the cursor, or look like a line of its own', async () => {
    const { output } = await check(listed(`name: a, baseUrl: "${upstream.origin}/odd/v1"`))
    assert.ok(
      output.includes('evil\\u{1b}[2Jmodel, two\\u{a}of 2 work, c1\\u{9b}31m, right\\u{202e}left, plain-é\n'),
      output,
    )
    assert.ok(!/[\p{Cc}\p{Cf}]/u.test(output.replaceAll('\n', '')), 'nothing else of the kind is there')
  })

  it('says which variables add nothing', async () => {
    const { output } = await check(listed(`name: a, baseUrl: "${upstream.origin}/v1", apiKey: right`), {
      XAI_API_KEY: 'k',
    })
    assert.match(output, /^XAI_API_KEY is set, and no upstream comes of it/)
  })

  it('names models that no family takes', async () => {
    const families = 'families: [{name: llama, models: [llama*]}]\n'
    const { output } = await check(
      families + listed(`name: a, baseUrl: "${upstream.origin}/v1", apiKey: right`),
    )
    assert.match(output, /1 served here: llama3:8b\n/)
    assert.match(output, /1 model of no family, so not served: x/)
  })

  it('says where nothing that is there is served', async () => {
    const at = `baseUrl: "${upstream.origin}/v1", apiKey: right`
    const { code, output } = await check(listed(`name: a, ${at}, models: [qwen*]`))
    assert.match(output, /answers: 2 models there, none served here\n {2}models matches none of them/)
    assert.equal(code, 1)
  })

  it('says what does not work and what to do about it, and ends with 1', async () => {
    const { code, output } = await check(
      listed(
        `name: closed, baseUrl: "${await closedOrigin()}/v1"`,
        `name: proxied, baseUrl: "http://a.example/v1", proxy: "${await closedOrigin()}"`,
        `name: wrong, baseUrl: "${upstream.origin}/v1", apiKey: "wrong-4711"`,
        `name: none, baseUrl: "${upstream.origin}/v1"`,
        `name: path, baseUrl: "${upstream.origin}/", apiKey: right`,
        `name: tls, baseUrl: "${upstream.origin.replace('http:', 'https:')}/v1", apiKey: right`,
        `name: fine, baseUrl: "${upstream.origin}/v1", apiKey: right`,
      ),
    )
    assert.match(output, /closed \(.*\n.*ECONNREFUSED.*\n.*nothing listens there/)
    assert.match(output, /proxied \(.*\n.*ECONNREFUSED.*\n.*check its proxy/)
    assert.match(output, /wrong \(.*\n.*401\n.*credential is refused/)
    assert.match(output, /none \(.*\n.*401\n.*give it a credential/)
    assert.match(output, /path \(.*\n.*404\n.*should baseUrl end in \/v1/)
    assert.match(output, /tls \(.*\n.*TLS failed.*\n.*begin with http:/)
    assert.match(output, /6 of 7 do not work as configured/)
    assert.doesNotMatch(output, /4711/)
    assert.equal(code, 1)
  })

  it('says how to add an upstream where there is none, and what is wrong in the configuration', async () => {
    const none = await check('')
    assert.match(none.output, /OPENAI_API_KEY/)
    assert.equal(none.code, 1)
    assert.equal((await check('upstreams: [{name: a}]')).code, 2)
  })
})
