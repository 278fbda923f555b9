import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type Environment, secretOf } from './environment.ts'
import { ConfigError } from './settings.ts'

/**
 * The master key: 32 bytes, as 64 hex digits or in base64. Without it the database cannot be read, so it is made once,
 * beside the database, readable by its owner alone, and never overwritten.
 */
function parseMasterKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  const bytes = Buffer.from(text, 'base64')
  return /^[\w+/-]{43}=?$/.test(text) && bytes.length === 32 ? bytes : undefined
}

/**
 * A key of the environment. `MASTER_KEY` is undefined where it is in a file beside the database; `MASTER_KEY_PREVIOUS`
 * is set while a master key is being replaced.
 */
export function configuredMasterKey(
  env: Environment,
  name: 'MASTER_KEY' | 'MASTER_KEY_PREVIOUS' = 'MASTER_KEY',
): Uint8Array | undefined {
  const secret = secretOf(env, name)
  if (secret === undefined) return undefined
  const key = parseMasterKey(secret)
  if (key) return key
  throw new ConfigError(
    name,
    'must be 64 hex digits, or 32 bytes in base64; `openssl rand -hex 32` makes one',
  )
}

/** The key in the file; undefined where there is no file. */
export function findMasterKey(path: string): Uint8Array | undefined {
  if (!existsSync(path)) return undefined
  const key = parseMasterKey(readFileSync(path, 'utf8').trim())
  if (key) return key
  throw new ConfigError(
    path,
    'does not hold a master key: restore the file from a backup, the database needs it',
  )
}

/**
 * The key in the file, which is made where neither a key nor a database exists yet. Throws where only the database
 * exists: it can be read only with the key that it was made with.
 */
export function keepMasterKey(path: string, databasePath: string): Uint8Array {
  const found = findMasterKey(path)
  if (found) return found
  if ((statSync(databasePath, { throwIfNoEntry: false })?.size ?? 0) > 0)
    throw new ConfigError(
      path,
      `does not exist, but ${databasePath} does, and was made with a master key: put that file back, or set MASTER_KEY`,
    )
  return makeMasterKey(path)
}

function makeMasterKey(path: string): Uint8Array {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const key = randomBytes(32)
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, `${key.toString('hex')}\n`)
    // Synced before the first user is written: after a loss of power a user without this key could never be read again.
    fsyncSync(file)
  } catch (error) {
    // On a full disk: remove the empty file, which the next start would take for a lost key.
    rmSync(path, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
  return key
}

/** A sentence for the operator where other users of the machine may read or write the file. */
export function looseKeyFile(path: string): string | undefined {
  const mode = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
  if ((mode & 0o177) === 0) return undefined
  return `${path} has mode ${mode.toString(8)}: other users of this machine can read every access token. Run chmod 600 ${path}`
}
