import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { SideMessage } from '../servers/side.ts'
import type { Side } from '../support/side.ts'
import type { SideName } from './ask.ts'

export interface SideOptions {
  /** The tree whose bench and sources are run. */
  readonly tree: string
  readonly env: Readonly<Record<string, string>>
  /** Ends it at once. */
  readonly signal: AbortSignal
}

/** Opens one side of a comparison in a process of its own. Throws its error, with its output. */
export async function openSideOf(bench: SideName, { tree, env, signal }: SideOptions): Promise<Side> {
  const child = fork(join(tree, 'bench', 'servers', 'side.ts'), [bench], {
    cwd: tree,
    execArgv: ['--expose-gc', '--max-semi-space-size=32', '--no-allocation-site-pretenuring'],
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    signal,
    killSignal: 'SIGTERM',
  })
  let wrote = ''
  child.stderr?.on('data', (data: Buffer) => {
    wrote = (wrote + data.toString()).slice(-4000)
  })
  child.on('error', () => undefined)

  async function answer(): Promise<SideMessage> {
    const end = new AbortController()
    const gone = once(child, 'close', { signal: end.signal }).then(() => {
      throw new Error(`the process that measures ${tree} ended\n${wrote}`)
    })
    try {
      const [message] = await Promise.race([once(child, 'message', { signal: end.signal }), gone])
      return message
    } finally {
      gone.catch(() => undefined)
      end.abort()
    }
  }

  async function ask(question?: 'round' | 'close'): Promise<SideMessage> {
    const answered = answer()
    if (question !== undefined) child.send(question)
    const message = await answered
    if (message.kind !== 'failed') return message
    child.kill('SIGKILL')
    throw new Error(message.message)
  }

  await ask()
  return {
    async round() {
      const message = await ask('round')
      return message.kind === 'round' ? message.samples : []
    },
    async close() {
      await ask('close')
      child.disconnect()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
