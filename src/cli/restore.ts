import { basename, join } from 'node:path'
import { databaseUrlOf } from '#config/database-url.ts'
import { dataDirOf, type Environment } from '#config/environment.ts'
import { configuredMasterKey, findMasterKey } from '#config/master-key.ts'
import { ConfigError } from '#config/settings.ts'
import { journalsIn } from '#metering/journal.ts'
import { databasePathIn, masterKeyPathIn } from '#server/data-folder.ts'
import { type Restored, restoreBackup } from '#storage/restore.ts'
import { createCopyReporter, size } from './copy-reporter.ts'
import { stoppable } from './stop-signals.ts'
import { print } from './terminal.ts'

/** `tollgate restore FILE`, while the server is stopped. */
export async function restore(env: Environment, from: string): Promise<number> {
  if (databaseUrlOf(env) !== undefined)
    throw new ConfigError('DATABASE_URL', 'is set; restore that database with pg_restore')
  const dataDir = dataDirOf(env)
  const aside = join(dataDir, `before-restore-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`)
  const belongings = await journalsIn(dataDir)
  const to = databasePathIn(dataDir)
  return stoppable(async (signal) => {
    const restored = await restoreBackup({
      from,
      to,
      masterKey: masterKeyOf(env, dataDir),
      masterKeyPrevious: configuredMasterKey(env, 'MASTER_KEY_PREVIOUS'),
      aside,
      belongings,
      signal,
      onProgress: createCopyReporter(`Copying ${from} to ${dataDir}`),
    })
    tell(restored, { from, to, aside, belongings })
    return 0
  }, 'stopped: nothing was changed.')
}

/** The master key is never made here: a new one cannot read any backup. */
function masterKeyOf(env: Environment, dataDir: string): Uint8Array {
  const path = masterKeyPathIn(dataDir)
  const key = configuredMasterKey(env) ?? findMasterKey(path)
  if (key) return key
  throw new ConfigError(
    path,
    'does not exist: put the master key of the backup there, or set MASTER_KEY to it',
  )
}

function tell(
  { bytes, seenAt, isAside }: Restored,
  paths: Record<'from' | 'to' | 'aside', string> & { readonly belongings: readonly string[] },
): void {
  const until = seenAt === 0 ? 'the backup' : new Date(seenAt).toISOString()
  print(`${paths.to} is now a copy of ${paths.from}: ${size(bytes)}, checked, last used at ${until}.`)
  if (isAside)
    print(
      `The database that was there before is in ${paths.aside}; remove that folder when you no longer need it.`,
    )
  if (paths.belongings.length > 0)
    print(`${paths.belongings.map((path) => basename(path)).join(', ')} went there too: those settlements belong to the
requests of the database that was here, and would be booked into this one.`)
  print(`Start the server now. Nothing that was used or changed since ${until} is in it: users who were
disabled since are enabled again, access tokens that were given since are unknown, and admin keys that were revoked
since are valid again: disable and revoke them once more.`)
}
