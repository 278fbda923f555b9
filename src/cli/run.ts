import { parseArgs } from 'node:util'
import type { Environment } from '#config/environment.ts'
import { ConfigError } from '#config/settings.ts'
import { version } from '#server/version.ts'
import { help } from './help.ts'
import { complain, print } from './terminal.ts'

/** Exit codes: 0 done, 1 failed, 2 called wrongly or configured wrongly. */
export async function run(argv: readonly string[], env: Environment): Promise<number> {
  try {
    return await runCommand(argv, env)
  } catch (error) {
    // One line for what the operator can fix; every other error is a bug, and its stack is printed.
    if (error instanceof ConfigError) return say(`tollgate: ${error.message}`, 2)
    if (isUsageError(error)) return say(`tollgate: ${usageOf(error)}`, 2)
    if (error instanceof Error)
      return say(`tollgate: ${env.LOG_LEVEL === 'debug' ? error.stack : error.message}`, 1)
    throw error
  }
}

/** As most operators start it; the command `tollgate` is not on their path. */
const helpCommand = 'npm start -- help'

const options = {
  demo: { type: 'boolean' },
  scope: { type: 'string', multiple: true },
  'expires-in-days': { type: 'string' },
  network: { type: 'string', multiple: true },
  'overlap-hours': { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  undo: { type: 'boolean' },
  force: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options, allowPositionals: true })
}

async function runCommand(argv: readonly string[], env: Environment): Promise<number> {
  const { values, positionals } = parse(argv)
  const [command = 'start', ...rest] = positionals
  if (values.help || command === 'help') return answer(help)
  if (values.version || command === 'version') return answer(`tollgate ${version}`)
  const stray = strayOption(values, command)
  if (stray) return say(`tollgate: --${stray.name} goes with ${stray.command} only`, 2)
  const lost = takenByNpm(env, values, command)
  if (lost !== undefined)
    return say(
      `tollgate: npm took --${lost} for an option of its own; write npm start -- ${command === 'start' ? '' : `${command} … `}--${lost}`,
      2,
    )
  const run = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (!run) return say(`tollgate: there is no command ${JSON.stringify(command)}; see ${helpCommand}`, 2)
  return run(env, rest, values)
}

type Values = ReturnType<typeof parse>['values']
type Command = (env: Environment, rest: readonly string[], values: Values) => Promise<number> | number

/** Each command loads its own modules, so that a backup beside a busy server does not load a server. */
const commands: Readonly<Record<string, Command>> = {
  async start(env, rest, { demo = false }) {
    if (rest.length > 0) return tooMany(rest)
    const { serve } = await import('./serve.ts')
    return serve(env, { isDemo: demo })
  },
  async keys(env, words, values) {
    const { keysCommand } = await import('./keys.ts')
    return keysCommand(env, words, keyOptionsOf(values))
  },
  /** The earlier spelling of `keys create`. */
  async 'admin-key'(env, [name, ...more], values) {
    if (more.length > 0) return tooMany(more)
    const { createKeyCommand } = await import('./keys.ts')
    return createKeyCommand(env, { ...keyOptionsOf(values), name })
  },
  async check(env, rest) {
    if (rest.length > 0) return tooMany(rest)
    const { check } = await import('./check.ts')
    return check(env)
  },
  async backup(env, [file, ...more], { force = false }) {
    if (more.length > 0) return tooMany(more)
    if (file === undefined || file === '')
      return say('tollgate: name the file to make: tollgate backup /backups/tollgate.db', 2)
    const { backUp } = await import('./backup.ts')
    return backUp(env, file, force)
  },
  async restore(env, [file, ...more]) {
    if (more.length > 0) return tooMany(more)
    if (file === undefined || file === '')
      return say('tollgate: name the backup: tollgate restore /backups/tollgate.db', 2)
    const { restore } = await import('./restore.ts')
    return restore(env, file)
  },
  async audit(env, words) {
    const { auditCommand } = await import('./audit.ts')
    return auditCommand(env, words)
  },
  async rekey(env, rest) {
    if (rest.length > 0) return tooMany(rest)
    const { rekeyCommand } = await import('./rekey.ts')
    return rekeyCommand(env)
  },
  async 'migrate-store'(env, rest, { undo = false, from, to }) {
    if (rest.length > 0) return tooMany(rest)
    if (undo && to !== undefined) return say('tollgate: --undo takes no --to: leave it out', 2)
    const { migrateStore, takeStoreBack } = await import('./migrate-store.ts')
    return undo ? takeStoreBack(env, from) : migrateStore(env, { from, to })
  },
}

function keyOptionsOf(values: Values) {
  const { scope: scopes = [], network: networks = [] } = values
  return { scopes, networks, expiresInDays: values['expires-in-days'], overlapHours: values['overlap-hours'] }
}

/** The commands that an option belongs to, for options that not every command has. */
const commandsOf: Readonly<Record<string, readonly string[]>> = {
  demo: ['start'],
  scope: ['keys', 'admin-key'],
  'expires-in-days': ['keys', 'admin-key'],
  network: ['keys', 'admin-key'],
  'overlap-hours': ['keys'],
  from: ['migrate-store'],
  to: ['migrate-store'],
  undo: ['migrate-store'],
  force: ['backup'],
}

/** Finds an option of another command: it would have no effect, so the call is refused. */
function strayOption(values: object, command: string) {
  const name = Object.keys(values).find((each) => commandsOf[each]?.includes(command) === false)
  return name === undefined ? undefined : { name, command: commandsOf[name]?.[0] }
}

/**
 * An option of this command that was written before npm's double dash: npm keeps it, and the command would do something
 * else than it was asked for. npm passes its own options on as variables.
 */
function takenByNpm(env: Environment, values: object, command: string): string | undefined {
  if (env.npm_lifecycle_event === undefined) return undefined
  return Object.keys(commandsOf).find(
    (name) =>
      commandsOf[name]?.includes(command) &&
      !Object.hasOwn(values, name) &&
      env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined,
  )
}

function tooMany(words: readonly string[]): number {
  return say(
    `tollgate: ${words.map((word) => JSON.stringify(word)).join(' ')} is not expected here; see ${helpCommand}`,
    2,
  )
}

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}

/** The first sentence of node:util's message; the rest of it is about file names that begin with a dash. */
function usageOf({ message }: Error): string {
  const unknown = /^Unknown option '(-[^']*)'/.exec(message)
  return unknown ? `there is no option ${unknown[1]}; see ${helpCommand}` : message
}

function answer(text: string): number {
  print(text)
  return 0
}

function say(text: string, exitCode: number): number {
  complain(text)
  return exitCode
}
