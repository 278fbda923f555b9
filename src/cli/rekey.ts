import { existsSync } from 'node:fs'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { type Config, ConfigError } from '#config/settings.ts'
import { databaseOf, masterKeysOf } from '#server/configured-store.ts'
import { databasePathIn } from '#server/data-folder.ts'
import { type Rekeyed, type RekeyProgress, rekeyStore } from '#storage/rekey.ts'
import { onStopSignal } from './stop-signals.ts'
import { complain, print } from './terminal.ts'

const everyMs = 1_000
const namedMax = 20

/**
 * `tollgate rekey`: seals everything anew with MASTER_KEY, while the instances run. Ctrl-C stops it; called again it
 * continues.
 */
export async function rekeyCommand(env: Environment): Promise<number> {
  const config = readConfig(env)
  // A master key must not be made here: it is made with the database.
  const path = databasePathIn(config.dataDir)
  if (config.databaseUrl === undefined && !existsSync(path))
    throw new ConfigError('DATA_DIR', `there is no database at ${path}: name the server's folder`)
  const database = databaseOf(config)
  const end = new AbortController()
  const hearNoMore = onStopSignal(() => end.abort())
  try {
    const work = { signal: end.signal, onProgress: createReporter() }
    return tell(await rekeyStore({ database, ...masterKeysOf(config) }, work), config)
  } finally {
    hearNoMore()
  }
}

function tell(result: Rekeyed, { masterKeyPrevious }: Config): number {
  switch (result.kind) {
    case 'interrupted':
      complain('tollgate: stopped. Run the same command again: it continues from here.')
      return 130
    case 'nothing':
      print(
        masterKeyPrevious
          ? 'Nothing is left under the earlier key: MASTER_KEY_PREVIOUS can be removed.'
          : 'Everything is under this master key. To replace it, set MASTER_KEY to a new one and MASTER_KEY_PREVIOUS to this one.',
      )
      return 0
    case 'rekeyed': {
      const { rows, unreadable } = result
      print(`Done: ${numeral(rows)} rows are under the new master key.
Remove MASTER_KEY_PREVIOUS at the next start of each instance. Backups from before need the earlier key: keep it as long
as you keep them.`)
      if (unreadable.length === 0) return 0
      const named = unreadable.slice(0, namedMax).join(', ')
      complain(
        `tollgate: ${numeral(unreadable.length)} rows could not be changed, since neither key opens them or another user has the same access token: ${named}`,
      )
      return 1
    }
  }
}

function createReporter(): (progress: RekeyProgress) => void {
  let saidAt = performance.now()
  return ({ table, rows, of }) => {
    const now = performance.now()
    if (now - saidAt < everyMs && rows < of) return
    saidAt = now
    print(`  ${table.padEnd(10)} ${numeral(rows)} of ${numeral(of)}`)
  }
}

function numeral(value: number): string {
  return value.toLocaleString('en-US')
}
