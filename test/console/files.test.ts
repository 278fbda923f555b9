import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { withAdminServer } from '../support/admin-server.ts'
import { anyDatabase } from '../support/stores.ts'

const console = join(import.meta.dirname, '..', '..', 'console')

describe('files of the console', () => {
  it('loads at most 160 kB of script and 20 kB of style at first, compressed', () => {
    const page = readFileSync(join(console, 'dist', 'index.html'), 'utf8')
    const named = [...page.matchAll(/(?:src|href)="\/console\/(assets\/[^"]+)"/g)].map(
      ([, name]) => name ?? '',
    )
    const sizeOf = (end: string) =>
      named
        .filter((name) => name.endsWith(end))
        .reduce((sum, name) => sum + gzipSync(readFileSync(join(console, 'dist', name))).length, 0)
    const [script, style] = [sizeOf('.js'), sizeOf('.css')]
    assert.ok(script > 10_000 && script <= 160_000, `${script} bytes of script`)
    assert.ok(style > 1_000 && style <= 20_000, `${style} bytes of style`)
  })

  it('is sent compressed, keeps what is named by its content, and has a page for every view', () =>
    withAdminServer(anyDatabase, async ({ send }) => {
      const get = (path: string, coding = 'br') =>
        send({ method: 'GET', path, headers: { 'accept-encoding': coding, authorization: undefined } })
      const page = await get('/console/users/usr_1?q=x', 'identity')
      assert.equal(page.status, 200)
      assert.match(page.headers['content-type'] as string, /^text\/html/)
      assert.equal(page.headers['cache-control'], 'no-cache')
      assert.match(page.headers['content-security-policy'] as string, /default-src 'none'; script-src 'self'/)
      const [, script = ''] = /src="([^"]+\.js)"/.exec(page.text) ?? []
      for (const coding of ['br', 'gzip'])
        assert.equal((await get(script, coding)).headers['content-encoding'], coding)
      const plain = await get(script, 'identity')
      assert.equal(plain.headers['content-encoding'], undefined)
      assert.match(plain.headers['cache-control'] as string, /immutable/)
      assert.equal((await get('/console/assets/gone-1234.js')).status, 404)
      assert.equal(
        (await send({ method: 'POST', path: '/console', headers: { authorization: undefined } })).status,
        405,
      )
      const root = await get('/')
      assert.equal(root.headers.location, '/console')
    }))

  it('imports downwards only: pages, parts, then api, theme and words', () => {
    const rank: Readonly<Record<string, number>> = { words: 0, api: 1, parts: 2, pages: 3, '': 4 }
    const src = join(console, 'src')
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.tsx?$/.test(name),
    )
    assert.ok(files.length > 40, `${files.length} files`)
    const faults = files.flatMap((file) => {
      const folder = file.includes('/') ? (file.split('/')[0] ?? '') : ''
      const text = readFileSync(join(src, file), 'utf8')
      return [...text.matchAll(/(?:from|import\() ?'([#.][^']+)'/g)].flatMap(([, target = '']) => {
        const path = target.startsWith('#') ? target.slice(1) : posix.join(posix.dirname(file), target)
        const other = path.includes('/') ? (path.split('/')[0] ?? '') : ''
        return (rank[other] ?? 9) > (rank[folder] ?? -1) ? [`${file} imports ${target}`] : []
      })
    })
    assert.deepEqual(faults, [])
  })
})
