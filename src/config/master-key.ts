import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError } from './settings.ts'

/**
 * The master key: 32 bytes, as 64 hex digits or in base64. Without it nothing in the database can be read, so
 * it is made once, beside the database, for its owner alone, and never written over.
 */
export function parseMasterKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  const bytes = Buffer.from(text, 'base64')
  return /^[\w+/-]{43}=?$/.test(text) && bytes.length === 32 ? bytes : undefined
}

/** The key in the file, which is made where there is none. */
export function keepMasterKey(path: string): { readonly key: Uint8Array; readonly isNew: boolean } {
  if (existsSync(path)) {
    const key = parseMasterKey(readFileSync(path, 'utf8').trim())
    if (!key)
      throw new ConfigError(
        path,
        'holds no master key: restore the file from a backup, the database needs it',
      )
    return { key, isNew: false }
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const key = randomBytes(32)
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, `${key.toString('hex')}\n`)
    // A user whose key is lost with the power is a user nobody can read again.
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  return { key, isNew: true }
}
