import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { root } from '../scripts/docs.ts'

/** What can be held of packages without asking anything of a network. */
interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: boolean
  /** Comes within the archive of the package around it, whose hash holds it. */
  readonly inBundle?: boolean
}

const read = (file: string): unknown => JSON.parse(readFileSync(join(root, file), 'utf8'))
const { packages } = read('package-lock.json') as { readonly packages: Readonly<Record<string, Locked>> }

/** Our own packages: folders of this repository, and the links to them. */
const workspaces = ['console']

function isOurs(place: string, { link, resolved }: Locked): boolean {
  return link ? workspaces.includes(resolved ?? '') : workspaces.includes(place)
}

/** What is wrong with an entry of the lock file. */
function faultsOf(place: string, entry: Locked): string[] {
  if (isOurs(place, entry)) return []
  const { version, integrity, resolved, link, inBundle } = entry
  return [
    ...(integrity?.startsWith('sha512-') || (inBundle && bundleOf(place)) ? [] : [`${place} has no hash`]),
    ...(/^\d+\.\d+\.\d+/.test(version ?? '') && !link ? [] : [`${place} has no version`]),
    ...(resolved === undefined || resolved.startsWith('https://registry.npmjs.org/')
      ? []
      : [`${place} comes from elsewhere than the registry`]),
  ]
}

/** The package whose archive holds this one, with a hash of its own. */
function bundleOf(place: string): boolean {
  const around = place.slice(0, place.lastIndexOf('/node_modules/'))
  return packages[around]?.integrity?.startsWith('sha512-') ?? false
}

describe('the packages of the lock file', () => {
  it('have a version and a hash, and come from the registry', () => {
    const own = Object.entries(packages).filter(([place]) => place !== '')
    assert.ok(own.length > 100)
    assert.deepEqual(
      own.flatMap(([place, entry]) => faultsOf(place, entry)),
      [],
    )
  })

  it('would be refused without one of these', () => {
    const good = { version: '1.2.3', integrity: 'sha512-x' }
    assert.deepEqual(faultsOf('node_modules/a', good), [])
    for (const [fault, entry] of [
      ['no hash', { version: '1.2.3' }],
      ['no hash', { version: '1.2.3', inBundle: true }],
      ['no version', { ...good, version: 'main' }],
      ['no version', { link: true, resolved: 'elsewhere' }],
      ['elsewhere', { ...good, resolved: 'git+ssh://git@example.org/a.git' }],
    ] as const)
      assert.match(faultsOf('node_modules/a', entry).join(), new RegExp(fault))
  })
})
