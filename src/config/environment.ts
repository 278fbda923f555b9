import { readFileSync } from 'node:fs'
import { ConfigError } from './settings.ts'

/**
 * Reading single values from the environment. An empty variable counts as not set, since compose files and unit files
 * often pass those. Every secret can also come from a file, which the same variable with `_FILE` at its end names.
 */
export type Environment = Readonly<Record<string, string | undefined>>

export function textOf(env: Environment, key: string): string | undefined {
  const value = env[key]?.trim()
  return value === '' ? undefined : value
}

export function dataDirOf(env: Environment): string {
  return textOf(env, 'DATA_DIR') ?? './data'
}

export function secretOf(env: Environment, key: string): string | undefined {
  const direct = textOf(env, key)
  const path = textOf(env, `${key}_FILE`)
  if (path === undefined) return direct
  if (direct !== undefined) throw new ConfigError(key, `set ${key} or ${key}_FILE, not both`)
  try {
    const secret = readFileSync(path, 'utf8').trim()
    if (secret !== '') return secret
  } catch (cause) {
    throw new ConfigError(`${key}_FILE`, `cannot read ${path} (${errorCodeOf(cause)})`)
  }
  throw new ConfigError(`${key}_FILE`, `${path} is empty`)
}

export function wholeNumberOf(
  env: Environment,
  key: string,
  range: readonly [number, number],
  byDefault: number,
): number {
  const value = textOf(env, key)
  if (value === undefined) return byDefault
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < range[0] || number > range[1]) {
    throw new ConfigError(
      key,
      `${JSON.stringify(value)} must be a whole number from ${range[0]} to ${range[1]}`,
    )
  }
  return number
}

const byteUnits: Readonly<Record<string, number>> = { '': 1, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 }

/** A size such as `33554432` or `32 MiB`. */
export function bytesOf(env: Environment, key: string, max: number, byDefault: number): number {
  const value = textOf(env, key)
  if (value === undefined) return byDefault
  const [, digits, unit = ''] = /^(\d+)\s*([a-z]*)$/i.exec(value) ?? []
  const factor = byteUnits[unit.toLowerCase()]
  const bytes = Number(digits) * (factor ?? Number.NaN)
  if (!(bytes >= 1 && bytes <= max)) {
    throw new ConfigError(
      key,
      `${JSON.stringify(value)} must be a size from 1 to ${max} bytes, such as 33554432 or 32 MiB`,
    )
  }
  return bytes
}

export function oneOf<T extends string>(
  env: Environment,
  key: string,
  allowed: readonly T[],
  byDefault: T,
): T {
  const value = textOf(env, key)
  if (value === undefined) return byDefault
  const found = allowed.find((one) => one === value)
  if (found === undefined)
    throw new ConfigError(key, `${JSON.stringify(value)} must be one of ${allowed.join(', ')}`)
  return found
}

export function listOf(env: Environment, key: string): readonly string[] {
  const value = textOf(env, key)
  return value === undefined ? [] : value.split(/[\s,]+/).filter((part) => part !== '')
}

function errorCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
}
