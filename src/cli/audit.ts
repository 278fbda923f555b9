import { existsSync } from 'node:fs'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { ConfigError } from '#config/settings.ts'
import type { ChainChecked } from '#core/change.ts'
import { systemClock } from '#core/clock.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { openConfiguredStore } from '#server/configured-store.ts'
import { databasePathIn } from '#server/data-folder.ts'
import { complain, print } from './terminal.ts'

/** `tollgate audit verify`: finds an altered, removed or added row of the audit trail. Exit 1 where there is one. */
export async function auditCommand(env: Environment, words: readonly string[]): Promise<number> {
  if (words.join(' ') !== 'verify') {
    complain('tollgate: tollgate audit takes verify')
    return 2
  }
  const config = readConfig(env)
  const path = databasePathIn(config.dataDir)
  if (config.databaseUrl === undefined && !existsSync(path))
    throw new ConfigError('DATA_DIR', `there is no database at ${path}: name the server's folder`)
  const store = await openConfiguredStore(config, createSortableId('ins_', systemClock()))
  try {
    return tell(await store.changes.checkChain())
  } finally {
    await store.close()
  }
}

function tell(checked: ChainChecked): number {
  if (checked.kind === 'intact') {
    const range = checked.first === undefined ? '' : `, from ${checked.first} to ${checked.last}`
    print(`The audit trail is whole: ${checked.count} changes${range}.`)
    if (checked.redacted !== undefined)
      print(`Of ${checked.redacted} the texts about purged users were taken out, as recorded.`)
    return 0
  }
  complain(`tollgate: the audit trail is broken at change ${checked.seq}: ${sentences[checked.what]}.`)
  return 1
}

type What = Extract<ChainChecked, { readonly kind: 'broken' }>['what']

const sentences: Readonly<Record<What, string>> = {
  altered: 'its row is not as it was written, or is not the one that was there',
  missing: 'its row was removed',
  added: 'its row was added behind the end of what upkeep has removed',
  end: 'the newest or the oldest rows were removed, or the record of where the trail ends was altered',
  key: 'the key of its hashes cannot be read with this master key',
}
