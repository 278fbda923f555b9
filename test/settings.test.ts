import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { withAdminServer } from './support/admin-server.ts'
import { by } from './support/by.ts'
import { withFolder } from './support/folder.ts'
import { call } from './support/gateway-client.ts'
import { startProgram } from './support/process.ts'
import { databases } from './support/stores.ts'

const settingsSchema = z.object({
  version: z.string(),
  database: z.string(),
  masterKey: z.string(),
  caller: z.object({ address: z.string(), peer: z.string(), isForwarded: z.boolean() }),
  notes: z.array(z.string()),
  settings: z.array(
    z.object({
      name: z.string(),
      from: z.string(),
      value: z.unknown().optional(),
      isSet: z.boolean().optional(),
    }),
  ),
})

for (const kind of databases)
  describe(`GET /admin/settings on ${kind.name}`, () => {
    it('tells a key with settings:read the instance, its settings and how it sees the caller', () =>
      withAdminServer(kind, async (server) => {
        const { secret } = await createAdminKey(
          server.store.adminKeys,
          { name: 'looks', scopes: ['settings:read'] },
          by(server.clock.now),
        )
        const from = async (forwarded?: string) => {
          const { status, text } = await server.send({
            method: 'GET',
            path: '/admin/settings',
            headers: { authorization: `Bearer ${secret}`, 'x-forwarded-for': forwarded },
          })
          assert.equal(status, 200, text)
          return settingsSchema.parse(JSON.parse(text))
        }
        const told = await from('198.51.100.7')
        assert.deepEqual([told.version, told.database], ['0.0.0-test', kind.name])
        assert.match(told.masterKey, /^[\w-]{6}$/)
        assert.deepEqual(told.caller, { address: '198.51.100.7', peer: '127.0.0.1', isForwarded: true })
        assert.equal((await from()).caller.isForwarded, false)
        const port = told.settings.find(({ name }) => name === 'PORT')
        assert.deepEqual([port?.from, port?.value], ['default', 8080])
      }))
  })

describe('the settings of a running program', () => {
  it('name what --demo sets, and what the environment sets, without a secret', () =>
    withFolder(async (folder) => {
      const env = { PORT: '0', LOG_LEVEL: 'error', AUDIT_RETENTION_DAYS: '7', TMPDIR: folder }
      const program = startProgram(['--demo'], env, folder)
      try {
        const port = Number(new URL(await program.listening).port)
        const headers = { authorization: 'Bearer demo-admin-key-1' }
        const { status, text } = await call(port, { method: 'GET', path: '/admin/settings', headers })
        assert.equal(status, 200, text)
        const { settings } = settingsSchema.parse(JSON.parse(text))
        const of = (name: string) => settings.find((each) => each.name === name) ?? assert.fail(name)
        assert.deepEqual(
          [of('AUDIT_RETENTION_DAYS').from, of('AUDIT_RETENTION_DAYS').value],
          ['environment', 7],
        )
        assert.deepEqual([of('ADMIN_KEY').from, of('ADMIN_KEY').isSet], ['command_line', true])
        assert.equal(of('upstreams').from, 'command_line')
        assert.equal(of('timeZone').from, 'default')
        assert.ok(!text.includes('demo-admin-key-1'))
      } finally {
        program.process.kill('SIGTERM')
        await program.exit
      }
    }))
})
