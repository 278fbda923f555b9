import { readFileSync } from 'node:fs'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { systemClock } from '#core/clock.ts'
import { createLog } from '#http/log.ts'
import { openServer } from '#server.ts'
import { type Demo, openDemo } from './demo.ts'
import { greeting } from './greeting.ts'
import { onStopSignal } from './stop-signals.ts'
import { print } from './terminal.ts'

/** `tollgate start`: runs until SIGTERM, Ctrl-C or SIGHUP asks it to stop; a second signal ends it at once. */
export async function serve(env: Environment, { isDemo }: { readonly isDemo: boolean }): Promise<number> {
  const demo: Demo | undefined = isDemo ? await openDemo(env) : undefined
  try {
    const config = demo ? demo.config : readConfig(env)
    const log = createLog({ level: config.logLevel })
    for (const note of config.notes) log.warn(note)
    const stopSignal = nextSignal(env)
    const server = await openServer(config, log, systemClock)
    const users = await demo?.addUsers(server.store)
    print(greeting({ server, config, isDemo, users }))
    log.info({ url: server.url }, 'listening')
    const signal = await stopSignal
    log.info({ signal, openForMs: config.stopGraceMs }, 'stopping')
    await server.stop()
    log.info('stopped')
    await new Promise<void>((resolve) => log.flush(() => resolve()))
    return 0
  } finally {
    await demo?.close()
  }
}

const orphanLookMs = 500

function nextSignal(env: Environment): Promise<NodeJS.Signals | 'orphaned'> {
  return new Promise((resolve) => {
    onStopSignal(resolve)
    // npm starts a shell, and the shell starts this process. Where npm alone gets a signal, SIGTERM ends the shell,
    // SIGHUP only npm.
    if (env.npm_lifecycle_event === undefined) return
    const parent = process.ppid
    const npm = parentOf(parent)
    const look = setInterval(() => {
      if (process.ppid === parent && parentOf(parent) === npm) return
      clearInterval(look)
      resolve('orphaned')
    }, orphanLookMs)
    look.unref()
  })
}

/** Undefined where the system has no such file. */
function parentOf(pid: number): string | undefined {
  try {
    // The name before it may hold any character, and ends with the last bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')')).split(' ')[2]
  } catch {
    return undefined
  }
}
