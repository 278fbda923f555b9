import { readFileSync } from 'node:fs'

/** The version in package.json, its only home. */
export const version: string = readVersion()

function readVersion(): string {
  const content: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const isManifest = typeof content === 'object' && content !== null && 'version' in content
  return isManifest ? String(content.version) : 'unknown'
}
