import { parseArgs } from 'node:util'
import type { Environment } from '#config/environment.ts'
import { ConfigError } from '#config/settings.ts'
import { version } from '#version.ts'
import { createKeyCommand } from './admin-key.ts'
import { help } from './help.ts'
import { migrateStore, takeStoreBack } from './migrate-store.ts'
import { serve } from './serve.ts'

/** Exit codes: 0 done, 1 failed, 2 called wrongly or configured wrongly. */
export async function run(argv: readonly string[], env: Environment): Promise<number> {
  try {
    return await runCommand(argv, env)
  } catch (error) {
    // One line for what the operator can mend; the rest is a bug, and wants its stack.
    if (error instanceof ConfigError || isUsageError(error)) return say(`tollgate: ${error.message}`, 2)
    if (error instanceof Error)
      return say(`tollgate: ${env.LOG_LEVEL === 'debug' ? error.stack : error.message}`, 1)
    throw error
  }
}

const options = {
  demo: { type: 'boolean' },
  scope: { type: 'string', multiple: true },
  'expires-in-days': { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  undo: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

async function runCommand(argv: readonly string[], env: Environment): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true })
  const [command = 'start', ...rest] = positionals
  if (values.help || command === 'help') return print(help)
  if (values.version || command === 'version') return print(`tollgate ${version}`)
  const stray = strayOption(values, command)
  if (stray) return say(`tollgate: --${stray.name} goes with ${stray.command} only`, 2)
  switch (command) {
    case 'start':
      return rest.length > 0 ? tooMany(rest) : serve(env, { isDemo: values.demo ?? false })
    case 'admin-key':
      if (rest.length > 1) return tooMany(rest.slice(1))
      return createKeyCommand(env, {
        name: rest[0],
        scopes: values.scope ?? [],
        expiresInDays: values['expires-in-days'],
      })
    case 'migrate-store':
      if (rest.length > 0) return tooMany(rest)
      if (values.undo && values.to !== undefined) return say('tollgate: --undo needs no --to', 2)
      return values.undo ? takeStoreBack(env, values.from) : migrateStore(env, values)
    default:
      return say(`tollgate: there is no command ${JSON.stringify(command)}; see tollgate help`, 2)
  }
}

/** Which command an option belongs to, where it belongs to one. */
const commandOf: Readonly<Record<string, string>> = {
  demo: 'start',
  scope: 'admin-key',
  'expires-in-days': 'admin-key',
  from: 'migrate-store',
  to: 'migrate-store',
  undo: 'migrate-store',
}

/** An option of another command: what it asks for would not happen, so nothing does. */
function strayOption(values: object, command: string) {
  const name = Object.keys(values).find((each) => (commandOf[each] ?? command) !== command)
  return name === undefined ? undefined : { name, command: commandOf[name] }
}

function tooMany(words: readonly string[]): number {
  return say(
    `tollgate: ${words.map((word) => JSON.stringify(word)).join(' ')} is too much; see tollgate help`,
    2,
  )
}

function isUsageError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function say(text: string, exitCode: number): number {
  process.stderr.write(`${text}\n`)
  return exitCode
}
