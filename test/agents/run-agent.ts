import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Agent } from './agents.ts'
import { nodeFolder } from './packages.ts'

export interface Outcome {
  /** Undefined where it had not ended in time, and was ended. */
  readonly exitCode: number | undefined
  /** What it printed, on both outputs. */
  readonly shown: string
  readonly seconds: number
}

/** Nothing listens there, so that what an agent asks of the rest of the world fails at once. */
const nowhere = 'http://127.0.0.1:9'

/** Runs an agent once, in a home and a folder of its own, with nothing of this machine's environment but the path. */
export async function runAgent(
  agent: Agent,
  programAt: (program: string) => string,
  asked: { readonly origin: string; readonly accessToken: string; readonly prompt: string },
  timeoutMs: number,
): Promise<Outcome> {
  const home = mkdtempSync(join(tmpdir(), 'tollgate-agent-'))
  const setting = { ...asked, home }
  for (const [path, text] of Object.entries(agent.files?.(setting) ?? {})) {
    mkdirSync(dirname(join(home, path)), { recursive: true })
    writeFileSync(join(home, path), text)
  }
  const cwd = join(home, 'work')
  mkdirSync(cwd)
  const startedAt = performance.now()
  const child = spawn(programAt(agent.program), [...agent.args(setting)], {
    cwd,
    env: {
      PATH: `${nodeFolder}:/usr/local/bin:/usr/bin:/bin`,
      HOME: home,
      TMPDIR: home,
      TERM: 'dumb',
      NO_COLOR: '1',
      HTTPS_PROXY: nowhere,
      HTTP_PROXY: nowhere,
      NO_PROXY: '127.0.0.1,localhost',
      ...agent.env(setting),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, since agents start programs that outlive them.
    detached: true,
  })
  let shown = ''
  const take = (data: Buffer) => {
    shown += data.toString()
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // The group has ended already.
    }
  }
  const timer = setTimeout(end, timeoutMs)
  const exitCode = await new Promise<number | undefined>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? undefined))
  })
  clearTimeout(timer)
  end()
  rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  return { exitCode, shown, seconds: (performance.now() - startedAt) / 1000 }
}
