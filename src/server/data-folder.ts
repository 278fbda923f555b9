import { join } from 'node:path'

/** Paths of the files in the data folder. */
export function databasePathIn(dataDir: string): string {
  return join(dataDir, 'tollgate.db')
}

export function masterKeyPathIn(dataDir: string): string {
  return join(dataDir, 'master.key')
}
