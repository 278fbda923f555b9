import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Refused } from './ask.ts'

/** A revision of the repository that a tree lies in. */
export interface Revision {
  readonly kind: 'revision'
  readonly commit: string
  /** The shortest unique prefix of its digest. */
  readonly short: string
}

interface Ran {
  readonly status: number
  readonly said: string
}

/** @param revision any name of a commit in git: a digest, a branch, a tag, HEAD~3 */
export function findRevision(tree: string, revision: string): Revision | Refused {
  if (git(tree, ['rev-parse', '--git-dir']).status !== 0)
    return refused(`${tree} is no git repository, or git is not installed: run it in a clone`)
  const commit = git(tree, ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`])
  if (commit.status !== 0)
    return refused(
      `there is no revision ${revision} here: \`git log --oneline\` lists those there are; ` +
        'in a shallow clone, `git fetch --unshallow` brings the older ones',
    )
  const short = git(tree, ['rev-parse', '--short', commit.said])
  return { kind: 'revision', commit: commit.said, short: short.said }
}

/** This tree as it is, with uncommitted changes. */
export function describeTree(tree: string): string {
  const head = git(tree, ['rev-parse', '--short', 'HEAD']).said
  const changed = git(tree, ['status', '--porcelain'])
    .said.split('\n')
    .filter((line) => line !== '').length
  return changed === 0
    ? head
    : `${head} with ${changed} changed ${changed === 1 ? 'file' : 'files'}, not committed`
}

/**
 * Writes the revision's files into a folder, with the packages that it locks. The bench code is replaced by this
 * tree's, so that both sides are measured in the same way; `src` and its packages are those of the revision.
 */
export function checkOut(
  tree: string,
  { commit }: Revision,
  folder: string,
  say: (line: string) => void,
): void {
  mkdirSync(folder, { recursive: true })
  const archive = `${folder}.tar`
  must(git(tree, ['archive', '--format=tar', `--output=${archive}`, commit]), 'git archive')
  must(run('tar', ['-xf', archive, '-C', folder], folder), 'tar')
  rmSync(archive)
  addPackages(tree, folder, say)
  for (const path of ['bench', join('test', 'support')]) {
    rmSync(join(folder, path), { recursive: true, force: true })
    cpSync(join(tree, path), join(folder, path), { recursive: true })
  }
}

function addPackages(tree: string, folder: string, say: (line: string) => void): void {
  const lockOf = (path: string) => readFileSync(join(path, 'package-lock.json'), 'utf8')
  const installed = join(tree, 'node_modules')
  if (lockOf(tree) === lockOf(folder) && existsSync(installed)) {
    say('its packages are those of this tree')
    symlinkSync(installed, join(folder, 'node_modules'))
    return
  }
  say('its packages differ from those of this tree: npm ci')
  // Under `npm run` the variables of this tree's npm would make npm work in this tree.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local)/.test(name)),
  )
  const npm = run('npm', ['ci', '--no-audit', '--no-fund'], folder, { ...env, INIT_CWD: folder })
  if (npm.status !== 0)
    throw new Error(
      `npm ci failed in ${folder}: the packages of that revision have to be there; is the registry reachable?\n${npm.said}`,
    )
}

const git = (tree: string, args: readonly string[]): Ran => run('git', ['-C', tree, ...args], dirname(tree))

function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Ran {
  const done = spawnSync(program, args, { cwd, env, encoding: 'utf8', maxBuffer: 2 ** 28 })
  const said = done.status === 0 ? done.stdout : `${done.stdout ?? ''}${done.stderr ?? ''}${done.error ?? ''}`
  return { status: done.status ?? 1, said: said.trim() }
}

function must(ran: Ran, what: string): void {
  if (ran.status !== 0) throw new Error(`${what} failed: ${ran.said}`)
}

const refused = (message: string): Refused => ({ kind: 'refused', message })
