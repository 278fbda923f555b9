import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const installer = '/usr/bin/apt-get'
const places = ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin']

/**
 * The path of a program from a Debian package, which is installed where it is missing and this process may do so.
 * Fails without the program: a test that passes without what it tests would prove nothing.
 */
export function needProgram(name: string, debianPackage = name): string {
  const found = findProgram(name)
  if (found !== undefined) return found
  if (process.getuid?.() !== 0)
    throw new Error(`${name} is missing: install the Debian package ${debianPackage}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const run = (...args: string[]) => execFileSync(installer, args, { env, stdio: 'pipe', timeout: 300_000 })
  run('update')
  run('install', '-y', '--no-install-recommends', debianPackage)
  return findProgram(name) ?? throwMissing(name, debianPackage)
}

function findProgram(name: string): string | undefined {
  return places.map((place) => `${place}/${name}`).find((path) => existsSync(path))
}

function throwMissing(name: string, debianPackage: string): never {
  throw new Error(`the Debian package ${debianPackage} was installed and brought no ${name}`)
}
