import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import { describe, it } from 'node:test'
import { providers } from '#providers/all.ts'
import { privateHeadersOf } from '#providers/gathered.ts'
import { importTable } from './support/import-table.ts'

/**
 * Who may import whom. Read from the sources' text, so that it cannot pass by having read nothing: the number of
 * files and imports seen is asserted as well, and a second test feeds it files that must fail.
 */
const root = join(import.meta.dirname, '..', 'src')

/** Modules that reach outside the process; what is pure may not have them. */
const impure = [
  'node:fs',
  'node:http',
  'node:https',
  'node:net',
  'node:child_process',
  'node:worker_threads',
  'node:sqlite',
]
const pureFolders = ['lib', 'core', 'providers']

interface Import {
  readonly file: string
  readonly target: string
  readonly isTypeOnly: boolean
}

function importsOf(file: string, text: string): Import[] {
  const found = text.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|import\('([^']+)'\)/gm,
  )
  return [...found].map((match) => ({
    file,
    target: match[2] ?? match[3] ?? '',
    isTypeOnly: match[1] !== undefined,
  }))
}

/** What is wrong with one import; undefined where nothing is. */
function violationOf({ file, target }: Import): string | undefined {
  const folder = file.includes('/') ? (file.split('/')[0] ?? '') : ''
  const row = importTable[folder]
  if (!row) return `${file}: the folder ${folder} is not in the table`
  if (target.startsWith('node:')) {
    // Looking at an address is arithmetic, whatever module it comes from.
    const isAddressMath = file === 'core/network.ts' && target === 'node:net'
    if (pureFolders.includes(folder) && impure.includes(target) && !isAddressMath)
      return `${file}: ${target} does I/O`
    return undefined
  }
  if (target.startsWith('.')) {
    const path = posix.normalize(posix.join(posix.dirname(file), target))
    if (path.startsWith('..')) return `${file}: ${target} leads out of src`
    const other = path.includes('/') ? path.split('/')[0] : ''
    return other === folder ? undefined : `${file}: ${target} crosses folders without #`
  }
  if (target.startsWith('#')) {
    const other = target.slice(1).split('/')[0] ?? ''
    // Within one folder ./ says it shorter; from a folder below, the whole name is clearer than a row of dots.
    if (other === folder) {
      const isBeside = posix.dirname(file) === posix.dirname(target.slice(1))
      return isBeside ? `${file}: ${target} stands beside it, use ./` : undefined
    }
    if (row.folders.includes('*') || row.folders.includes(other)) return undefined
    return `${file}: ${folder} may not import ${target}`
  }
  const name = target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : (target.split('/')[0] ?? '')
  return row.packages.includes(name) ? undefined : `${file}: ${folder} may not import the package ${name}`
}

/** The file of ours that an import names; undefined where it is a package. */
function targetOf({ file, target }: Import): string | undefined {
  if (target.startsWith('#')) return target.slice(1)
  return target.startsWith('.') ? posix.normalize(posix.join(posix.dirname(file), target)) : undefined
}

/** A room: a folder within one of `src`, or a file that lies loose in it. */
function roomOf(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}

/** Arrows between the rooms of one folder, those of types among them: who reads the one has to read the other. */
function roomArrows(imports: readonly Import[], folder: string): (readonly [string, string])[] {
  return imports.flatMap((each) => {
    const [from, to] = [roomOf(each.file), roomOf(targetOf(each) ?? '')]
    const isWithin = [from, to].every((room) => room.startsWith(`${folder}/`))
    return isWithin && from !== to ? [[from, to] as const] : []
  })
}

/** The first way found that leads back to where it began; undefined where there is none. */
function cycleIn(arrows: readonly (readonly [string, string])[]): string | undefined {
  const graph = Map.groupBy(arrows, ([from]) => from)
  const done = new Set<string>()
  const visit = (at: string, trail: readonly string[]): string | undefined => {
    if (trail.includes(at)) return [...trail.slice(trail.indexOf(at)), at].join(' -> ')
    if (done.has(at)) return undefined
    for (const [, next] of graph.get(at) ?? []) {
      const found = visit(next, [...trail, at])
      if (found !== undefined) return found
    }
    done.add(at)
    return undefined
  }
  for (const at of graph.keys()) {
    const found = visit(at, [])
    if (found !== undefined) return found
  }
  return undefined
}

function sources(): { readonly file: string; readonly text: string }[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => ({ file: file.replaceAll('\\', '/'), text: readFileSync(join(root, file), 'utf8') }))
}

/** Comments and strings aside: what the program itself calls things. */
function identifiersOf(text: string): string[] {
  const code = text
    .replace(/\/\*[\s\S]*?\*\//g, ' ')
    .replace(/(^|[^:])\/\/.*$/gm, '$1')
    .replace(/`(?:[^`\\]|\\.)*`/g, (text) =>
      [...text.matchAll(/\$\{([^}]*)\}/g)].map((hole) => hole[1]).join(' '),
    )
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, "''")
    .replace(/\/(?:[^/\\\n]|\\.)+\/[a-z]*/g, ' ')
  return code.match(/[A-Za-z_$][\w$]*/g) ?? []
}

describe('architecture', () => {
  const files = sources()
  const imports = files.flatMap(({ file, text }) => importsOf(file, text))

  it('reads the sources', () => {
    assert.ok(files.length > 50, `only ${files.length} files`)
    assert.ok(imports.length > 150, `only ${imports.length} imports`)
  })

  it('imports only downwards', () => {
    assert.deepEqual(
      imports.map(violationOf).filter((violation) => violation !== undefined),
      [],
    )
  })

  it('has no cycles', () => {
    const arrows = imports.flatMap((each) => {
      const to = each.isTypeOnly ? undefined : targetOf(each)
      return to === undefined ? [] : [[each.file, to] as const]
    })
    assert.equal(cycleIn(arrows), undefined)
  })

  // The pieces of `providers` still name each other's types.
  for (const folder of Object.keys(importTable).filter((name) => name !== '' && name !== 'providers')) {
    it(`has no two rooms in ${folder} that need each other`, () => {
      assert.equal(cycleIn(roomArrows(imports, folder)), undefined)
    })
  }

  it('names no provider outside its folder', () => {
    const free = /^(providers\/(openai|anthropic|all\.ts)|upstreams\/simulated\/|cli\/)/
    const named = files.filter(({ file, text }) => {
      if (free.test(file)) return false
      const code = text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|[^:])\/\/.*$/gm, '$1')
      return /openai|anthropic/i.test(code.replace(/@hono\/zod-openapi|openapi/gi, ''))
    })
    assert.deepEqual(
      named.map(({ file }) => file),
      [],
    )
  })

  it('knows no path, header or member of a protocol outside its folder', () => {
    const own = /^(providers\/(openai|anthropic|input-members\.ts)|upstreams\/simulated\/|cli\/)/
    // A plain word of English means other things elsewhere.
    const isPlain = (word: string) => /^[a-z]+$/.test(word)
    const words = providers.flatMap(({ pathPrefix, modelsPath, endpoints, inputMembers, ...provider }) => [
      ...[pathPrefix, modelsPath, ...endpoints.map(({ path }) => path)],
      ...privateHeadersOf([{ pathPrefix, modelsPath, endpoints, inputMembers, ...provider }]),
      ...Object.keys(provider.defaultHeaders),
      ...inputMembers.unread,
    ])
    const found = files.flatMap(({ file, text }) => {
      if (own.test(file) || file.startsWith('providers/')) return []
      const code = text.replace(/\/\*[\s\S]*?\*\//g, ' ')
      return words
        .filter((word) => !isPlain(word) && code.includes(`'${word}'`))
        .map((word) => `${file}: ${word}`)
    })
    assert.deepEqual([...new Set(found)], [])
  })

  it('names no database outside storage', () => {
    const named = files.filter(({ file, text }) => {
      if (/^(storage\/|config\/|server\/configured-store\.ts)/.test(file)) return false
      return /sqlite|postgres/i.test(
        text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|[^:])\/\/.*$/gm, '$1'),
      )
    })
    assert.deepEqual(
      named.map(({ file }) => file),
      [],
    )
  })

  it('never lets the word token stand alone, but in the wire schemas of admin and verifier', () => {
    const wire = /^(admin|verifier)\/([\w-]+[-/])?(wire|schemas)\.ts$/
    const alone = files
      .filter(({ file }) => !wire.test(file))
      .flatMap(({ file, text }) =>
        identifiersOf(text)
          .filter((word) => /^tokens?$/i.test(word))
          .map((word) => `${file}: ${word}`),
      )
    assert.deepEqual(alone, [])
  })

  it('has no default exports and no barrels', () => {
    const wrong = files.filter(({ text }) => /^export (default|\* from)/m.test(text))
    assert.deepEqual(
      wrong.map(({ file }) => file),
      [],
    )
  })

  it('skips no test and leaves none alone', () => {
    const tests = [join(root), join(root, '..', 'test')].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.test.ts'))
        .map((file) => join(folder, file)),
    )
    assert.ok(tests.length > 10, `only ${tests.length} test files`)
    const wrong = tests.filter((file) =>
      /\b(it|test|describe)\.(skip|only|todo)\b/.test(readFileSync(file, 'utf8')),
    )
    assert.deepEqual(
      wrong.map((file) => relative(root, file)),
      [],
    )
  })
})

describe('the architecture test itself', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['core/x.ts', "import { a } from '#storage/store.ts'"],
    ['lib/x.ts', "import { a } from '#core/user.ts'"],
    ['core/x.ts', "import { z } from 'zod'"],
    ['core/x.ts', "import { readFileSync } from 'node:fs'"],
    ['gateway/x.ts', "import { a } from '#storage/open.ts'"],
    ['gateway/x.ts', "import { a } from '#storage/store.ts'"],
    ['gateway/x.ts', "import type { A } from '#storage/store.ts'"],
    ['gateway/x.ts', "import {\n  a,\n  b,\n} from '#admin/app.ts'"],
    ['admin/x.ts', "import { a } from '../storage/store.ts'"],
    ['admin/x.ts', "import { a } from '#admin/y.ts'"],
    ['admin/x.ts', "const a = await import('#gateway/relay.ts')"],
    ['metering/x.ts', "export { a } from '#http/log.ts'"],
    ['novel/x.ts', "import { a } from './y.ts'"],
  ]
  for (const [file, text] of refused) {
    it(`refuses ${JSON.stringify(text)} in ${file}`, () => {
      const [found] = importsOf(file, text)
      assert.ok(found, 'the import was not seen')
      assert.notEqual(violationOf(found), undefined)
    })
  }

  it('finds two rooms that need each other, be it for their types', () => {
    const imports = [
      ['admin/users/a.ts', "import type { B } from '#admin/quotas/b.ts'"],
      ['admin/quotas/c.ts', "import { d } from '#admin/wire.ts'"],
      ['admin/wire.ts', "import { e } from '#admin/users/e.ts'"],
    ].flatMap(([file = '', text = '']) => importsOf(file, text))
    const cycle = 'admin/users -> admin/quotas -> admin/wire.ts -> admin/users'
    assert.equal(cycleIn(roomArrows(imports, 'admin')), cycle)
    assert.equal(cycleIn(roomArrows(imports.slice(1), 'admin')), undefined)
  })

  it('sees the word token, but not inside other words or strings', () => {
    assert.deepEqual(
      identifiersOf("const token = accessToken + 'token' // token").filter((word) => /^tokens?$/.test(word)),
      ['token'],
    )
  })
})
