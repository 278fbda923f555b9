import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { parseConfigFile } from '#config/file.ts'
import { createAccessToken, isOwnAccessToken } from '#core/access-token.ts'
import { changeKinds } from '#core/change.ts'
import { adminKeySecret } from '#storage/admin-keys/create.ts'
import { environmentNames, parts, root, withPart, withParts } from '../scripts/docs.ts'
import { importTable } from './support/import-table.ts'

/** The documents agree with the code, with each other, and with what they link to. */
const documents = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file.replaceAll('\\', '/')}`),
]
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

/** Code blocks aside: nothing in them is a link or a heading. */
function proseOf(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}

/** Anchors of the headings, as the usual renderers make them. */
function anchorsOf(text: string): Set<string> {
  const headings = proseOf(text).matchAll(/^#+ +(.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** What is wrong with the relative links of a document at `file`. */
function brokenLinks(file: string, text: string): string[] {
  const links = proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)
  return [...links].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return []
    const [path = '', anchor] = target.split('#')
    const found = path === '' ? file : normalize(join(dirname(file), path))
    if (found.startsWith('..') || !existsSync(join(root, found)))
      return [`${file}: ${target} leads to nothing`]
    if (anchor === undefined || statSync(join(root, found)).isDirectory()) return []
    return anchorsOf(textOf(found)).has(anchor) ? [] : [`${file}: ${target} names no heading`]
  })
}

/** Words that look like variables of the environment: capitals with an underscore, or in backticks alone. */
function variablesIn(text: string): string[] {
  const found = text.matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|(?<=`)(?:HOST|PORT|CONFIG)(?=`)/g)
  return [...new Set([...found].map(([name]) => name))]
}

/** Paths of this repository that a document names in backticks, folders and files. */
function pathsIn(text: string): string[] {
  const found = proseOf(text).matchAll(/`((?:src|test|docs|bench|scripts|contract|deploy)\/[\w./-]*)`/g)
  return [...found].map(([, path = '']) => path)
}

/** Rows of the tables of steps: the names, and the file in which they stand. */
function stepsIn(text: string): { readonly names: readonly string[]; readonly file: string }[] {
  const rows = text.matchAll(/^\| .* \| ((?:`#?\w+`(?:, )?)+) \| `(src\/[\w./-]+)` \|$/gm)
  return [...rows].map(([, names = '', file = '']) => ({
    names: [...names.matchAll(/`(#?\w+)`/g)].map(([, name = '']) => name),
    file,
  }))
}

/** Names of steps that their file does not hold. */
function lostSteps(text: string): string[] {
  return stepsIn(text).flatMap(({ names, file }) => {
    const source = existsSync(join(root, file)) ? textOf(file) : ''
    return names.filter((name) => !source.includes(name)).map((name) => `${name} is not in ${file}`)
  })
}

/** Rows of the tables of security, by the first word of the first cell. */
function securityRows(text: string): ReadonlyMap<string, string> {
  const rows = text.matchAll(/^\| ((?:API|V)\d+) [^|]* \|.* \| ([^|]*) \|$/gm)
  return new Map([...rows].map(([, id = '', heldBy = '']) => [id, heldBy]))
}

/** What is wrong with what a row says it is held by; a row that begins with "Not" states a reason. */
function lostTests(heldBy: string): string[] {
  const named = [...heldBy.matchAll(/`([\w./-]+\.test\.ts)`: "([^"]+)"/g)]
  if (named.length === 0) return /^Not: \w+/.test(heldBy) ? [] : [`neither a test nor a reason: ${heldBy}`]
  return named.flatMap(([, file = '', name = '']) => {
    const source = existsSync(join(root, file)) ? textOf(file) : ''
    const titles = [...source.matchAll(/\b(?:it|describe)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)]
    return titles.some(([, , title = '']) => title.includes(name)) ? [] : [`${file} has no test "${name}"`]
  })
}

describe('documents', () => {
  it('are there', () => {
    assert.ok(documents.length > 20, `only ${documents.length} documents`)
  })

  for (const file of new Set(Object.values(parts).map((part) => part.file))) {
    it(`${file} is as the code makes it: else run node scripts/docs.ts`, () => {
      assert.equal(withParts(file, textOf(file)), textOf(file))
    })
  }

  it('have links that lead somewhere', () => {
    assert.deepEqual(
      documents.flatMap((file) => brokenLinks(file, textOf(file))),
      [],
    )
  })

  it('README.md names only variables that the configuration reads', () => {
    // Stands for a user's access token in commands.
    const placeholders = ['ACCESS_TOKEN']
    const known = new Set([...environmentNames(), ...placeholders])
    assert.deepEqual(
      variablesIn(textOf('README.md')).filter((name) => !known.has(name)),
      [],
    )
  })

  it('configuration.md names every variable that the configuration reads, and every key of the file', () => {
    const text = textOf('docs/reference/configuration.md')
    const keys = [
      ...textOf('src/config/file.ts').matchAll(/^ +(\w+): (?:z\b|limit|globs|name|milliseconds|days)/gm),
    ].map(([, key = '']) => key)
    assert.ok(keys.length > 15, `only ${keys.length} keys`)
    const missing = [...environmentNames(), ...keys].filter((name) => !text.includes(`\`${name}\``))
    assert.deepEqual(missing, [])
  })

  it('access-tokens.md gives patterns that find what is made, and its example has the right checksum', () => {
    const text = textOf('docs/operations/access-tokens.md')
    const written = [...text.matchAll(/^regex = '''(.+)'''$/gm)].map(([, pattern = '']) => pattern)
    const bare = [...text.matchAll(/^```\n(.+\{\d+\})\n```$/gm)].map(([, pattern = '']) => pattern)
    const made = [createAccessToken(), adminKeySecret(['admin']), adminKeySecret(['verifier'])]
    for (const patterns of [written, bare]) {
      assert.equal(patterns.length, 2)
      const all = new RegExp(patterns.join('|'), 'g')
      const leaked = made.map((one) => `key: "${one}"\n`).join('')
      assert.deepEqual(
        [...leaked.matchAll(all)].map(([found]) => found),
        made,
      )
      assert.doesNotMatch('sk-tg-short tga-short sk-tg-ExampleOfAnAccessTokenInTheDocs1', all)
    }
    const [example = ''] = /^sk-tg-.*$/m.exec(text) ?? []
    assert.ok(isOwnAccessToken(example), example)
    assert.ok(text.includes(`is ${crc32(example.slice(0, -6))}, in base 62 \`${example.slice(-6)}\``))
  })

  it('audit.md says when each kind of change is written', () => {
    const rows = textOf('docs/operations/audit.md').matchAll(/^\| (`[a-z_]+\.[a-z_]+`.*?) \|/gm)
    const named = [...rows].flatMap(([, kinds = '']) => kinds.replaceAll('`', '').split(', '))
    assert.deepEqual(named.toSorted(), changeKinds.toSorted())
  })

  it('show configuration files that are valid', () => {
    const blocks = documents.flatMap((file) =>
      [...textOf(file).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => ({ file, text })),
    )
    assert.ok(blocks.length > 3, `only ${blocks.length} files`)
    for (const { file, text } of blocks) assert.ok(parseConfigFile(text, file))
  })

  for (const file of ['docs/architecture.md', 'CONTRIBUTING.md']) {
    it(`${file} names only paths that are there`, () => {
      const paths = pathsIn(textOf(file))
      assert.ok(paths.length > 20, `only ${paths.length} paths`)
      assert.deepEqual(
        paths.filter((path) => !existsSync(join(root, path))),
        [],
      )
    })
  }

  it('architecture.md names steps by what their files call them', () => {
    const text = textOf('docs/architecture.md')
    assert.ok(stepsIn(text).length > 25, `only ${stepsIn(text).length} steps`)
    assert.deepEqual(lostSteps(text), [])
  })

  it('architecture.md has the layers of the import table', () => {
    const rows = textOf('docs/architecture.md').matchAll(/^\| `src\/(\w+)` \| .* \| (-|[\w, ]+) \|$/gm)
    const written = Object.fromEntries(
      [...rows].map(([, folder = '', names = '']) => [folder, names === '-' ? [] : names.split(', ')]),
    )
    const held = Object.entries(importTable).filter(([, { folders }]) => !folders.includes('*'))
    assert.deepEqual(written, Object.fromEntries(held.map(([folder, { folders }]) => [folder, folders])))
  })

  it('name the test that holds each row of the tables of security, or say why there is none', () => {
    const rows = securityRows(textOf('docs/operations/security.md'))
    const numbered = (name: string, count: number) =>
      Array.from({ length: count }, (_, at) => `${name}${at + 1}`)
    assert.deepEqual([...rows.keys()], [...numbered('API', 10), ...numbered('V', 17)])
    assert.deepEqual([...rows.values()].flatMap(lostTests), [])
    assert.equal(lostTests('`test/docs.test.ts`: "a test that is not there"').length, 1)
    assert.equal(lostTests('').length, 1)
  })

  it('decisions are numbered without a gap and listed', () => {
    const pages = readdirSync(join(root, 'docs/decisions')).filter((file) => /^\d/.test(file))
    const numbers = pages.map((file) => Number(file.slice(0, 4)))
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    )
    const index = textOf('docs/decisions/README.md')
    assert.deepEqual(
      pages.filter((file) => !index.includes(`(${file})`)),
      [],
    )
  })

  it('the checks themselves find what is wrong', () => {
    assert.equal(brokenLinks('README.md', '[a](docs/nowhere.md) [b](#no-such-heading)').length, 2)
    assert.deepEqual(brokenLinks('README.md', '[a](LICENSE) [b](https://example.com)'), [])
    assert.deepEqual(pathsIn('`src/nowhere.ts`, `src/storage/` and `other/x`'), [
      'src/nowhere.ts',
      'src/storage/',
    ])
    const step = '| it starts | `noSuchName`, `openServer` | `src/server.ts` |'
    assert.deepEqual(lostSteps(step), ['noSuchName is not in src/server.ts'])
    assert.deepEqual(variablesIn('set NO_SUCH_NAME and `PORT`'), ['NO_SUCH_NAME', 'PORT'])
    const old = '<!-- made by scripts/docs.ts: errors -->\n\nold\n\n<!-- end -->'
    assert.notEqual(withPart(old, 'errors', 'new'), old)
    assert.throws(() => withPart('nothing', 'errors', 'new'), /markers/)
  })
})
