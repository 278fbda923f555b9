import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import type { Work } from '../servers/instance.ts'
import type { Reading } from './child.ts'

/** A server under measurement, in a process of its own on a core of its own. */
export interface Measured {
  readonly url: string
  readonly read: (question?: 'read' | 'collect') => Promise<Reading>
  readonly stop: () => Promise<void>
}

/** An instance without its gateway, in a process of its own. */
export interface Instance {
  readonly run: (work: Work) => Promise<number>
  readonly stop: () => Promise<void>
}

const servers = join(import.meta.dirname, '..', 'servers')
const canPin = spawnSync('taskset', ['-V']).status === 0

/** Starts `bench/servers/<name>.ts`; it says its address when it is up. */
export async function startServer(
  name: string,
  args: readonly string[],
  options: { readonly core?: number; readonly env?: Record<string, string> } = {},
): Promise<Measured> {
  const child = start(name, args, options.env)
  if (options.core !== undefined) pin(child.pid, options.core)
  const facts = await message<{ readonly url: string }>(child)
  return {
    url: facts.url,
    read(question = 'read') {
      const answer = message<Reading>(child)
      child.send(question)
      return answer
    },
    stop: () => end(child),
  }
}

/** @param url of the PostgreSQL that it shares with others */
export async function startInstance(url: string): Promise<Instance> {
  const child = start('instance', [url])
  await message(child)
  return {
    run(work) {
      const answer = message<number>(child)
      child.send(work)
      return answer
    },
    stop: () => end(child),
  }
}

function start(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  return fork(join(servers, `${name}.ts`), [...args], {
    execArgv: ['--expose-gc', '--max-semi-space-size=32', '--no-allocation-site-pretenuring'],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

/** Puts a process and all its threads on one core; without `taskset` it runs where it likes. */
export function pin(pid: number | undefined, core: number): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

/** Lets a process and what it starts from now on run wherever there is room. */
export function unpin(pid: number): void {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', `0-${cpus().length - 1}`, String(pid)])
}

function message<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`the process ended with ${code}`))
    child.once('exit', gone)
    child.once('message', (value) => {
      child.off('exit', gone)
      resolve(value as T)
    })
  })
}
