import { existsSync } from 'node:fs'
import { databaseUrlOf } from '#config/database-url.ts'
import { dataDirOf, type Environment } from '#config/environment.ts'
import { ConfigError } from '#config/settings.ts'
import { journalsIn } from '#metering/journal.ts'
import { databasePathIn, masterKeyPathIn } from '#server/data-folder.ts'
import { makeBackup } from '#storage/backup.ts'
import { createCopyReporter, size } from './copy-reporter.ts'
import { stoppable } from './stop-signals.ts'
import { print } from './terminal.ts'

/**
 * `tollgate backup FILE`: reads the data folder itself, so that it needs no admin key and the server may run or be
 * stopped.
 */
export async function backUp(env: Environment, to: string, mayReplace: boolean): Promise<number> {
  if (databaseUrlOf(env) !== undefined)
    throw new ConfigError('DATABASE_URL', 'is set; back that database up with pg_dump')
  const dataDir = dataDirOf(env)
  const from = databasePathIn(dataDir)
  const keyFile = env.MASTER_KEY_FILE ?? masterKeyPathIn(dataDir)
  const belongings = [keyFile, masterKeyPathIn(dataDir), ...(await journalsIn(dataDir))]
  const begunAt = performance.now()
  return stoppable(async (signal) => {
    const onProgress = createCopyReporter(`Copying ${from} to ${to}`)
    const { bytes, asOf } = await makeBackup({ from, to, mayReplace, belongings, signal, onProgress })
    const seconds = ((performance.now() - begunAt) / 1000).toFixed(1)
    print(
      `${to} holds the database as of ${new Date(asOf).toISOString()}: ${size(bytes)}, checked, in ${seconds} s.
${aboutKey(masterKeyPathIn(dataDir))}`,
    )
    return 0
  }, 'stopped: there is no backup.')
}

function aboutKey(path: string): string {
  const key = existsSync(path) ? path : 'the MASTER_KEY that the server is started with'
  return `The master key is not in it. Keep a copy of ${key} in another place:
without it the backup cannot be read, and with both every access token can.`
}
