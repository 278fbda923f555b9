import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { identityHeaders } from '#verifier/identity-headers.ts'
import { needProgram } from '../support/debian.ts'
import { withFolder } from '../support/folder.ts'
import { startProgram } from '../support/process.ts'

const guide = readFileSync(
  join(import.meta.dirname, '..', '..', 'docs', 'guides', 'other-gateways.md'),
  'utf8',
)

describe('the guide for other gateways', () => {
  it('has commands that work, one after the other, against the demo', () =>
    withFolder(async (folder) => {
      needProgram('curl')
      const program = startProgram(['--demo'], { PORT: '0', TMPDIR: folder })
      const url = await program.listening
      const env: Record<string, string> = { PATH: process.env.PATH ?? '' }
      let commands = 0
      for (const [, command = ''] of guide.matchAll(/^```sh\n(curl[\s\S]*?)^```/gm)) {
        const here = command.replaceAll('http://127.0.0.1:8080', url).replace(/^curl/, 'curl -sS')
        const { stdout } = await promisify(execFile)('sh', ['-c', here], { env })
        commands += 1
        if (command.includes('/auth/verify')) {
          assert.match(stdout, /^HTTP\/1\.1 200/)
          for (const name of identityHeaders) assert.match(stdout, new RegExp(`^${name}:`, 'm'))
          continue
        }
        const { key, id, error, ...said } = JSON.parse(stdout)
        assert.equal(error, undefined, stdout)
        if (key !== undefined) env.TOLLGATE_VERIFIER_KEY = key
        if (/reservations /.test(command)) env.RESERVATION = id
        if (command.includes('/auth/check')) assert.equal(said.valid, true)
        if (command.includes('/auth/introspect')) assert.equal(said.active, true)
        if (command.includes('/settle')) assert.equal(said.outcome, 'closed')
        if (/8080\/usage /.test(command)) assert.ok(said.counted > 0, stdout)
      }
      assert.equal(commands, 9)
      program.process.kill('SIGTERM')
      assert.equal(await program.exit, 0)
    }))

  it('names every identity header', () => {
    assert.deepEqual(
      identityHeaders.filter((name) => !guide.includes(`\`${name}\``)),
      [],
    )
  })
})
