import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'

/** The program as an operator runs it: a process of its own, controlled by environment and signals. */
export interface Program {
  readonly process: ChildProcess
  /** Its output so far, of both streams. */
  readonly output: () => string
  /** Resolves with the exit code; null where a signal ended the process. */
  readonly exit: Promise<number | null>
  /** The address on which it listens; rejects where the process ends before. */
  readonly listening: Promise<string>
}

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

export function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): Program {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  let output = ''
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  const listening = new Promise<string>((resolve, reject) => {
    const take = (data: Buffer) => {
      output += data.toString()
      const url = /listening on (\S+)[\s\S]*\/v1\/usage/.exec(output)?.[1]
      if (url !== undefined) resolve(url)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    void exit.then((code) => reject(new Error(`it ended with ${code}: ${output}`)))
  })
  // A test that expects the start to fail does not await the address.
  listening.catch(() => undefined)
  return { process: child, output: () => output, exit, listening }
}

/** Runs the program until it exits. */
export async function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd?: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const program = startProgram(args, env, cwd)
  const code = await program.exit
  return { code, output: program.output() }
}
