import { createAdminKey } from '#admin-access.ts'
import type { Environment } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { systemClock } from '#core/clock.ts'
import { openConfiguredStore } from '#instance.ts'

const nameLengthMax = 80

/** `tollgate admin-key NAME`: for whoever lost the first one, or wants one a person. */
export async function createKeyCommand(env: Environment, name: string | undefined): Promise<number> {
  if (name === undefined || name.trim() === '' || name.length > nameLengthMax) {
    process.stderr.write(
      `tollgate: name the key, in at most ${nameLengthMax} characters: tollgate admin-key ann\n`,
    )
    return 2
  }
  const store = await openConfiguredStore(readConfig(env), systemClock)
  try {
    const secret = await createAdminKey(store.adminKeys, name, systemClock)
    process.stdout.write(`${secret}\n`)
    process.stderr.write(`This is the admin key ${JSON.stringify(name)}. It is not shown again.\n`)
    return 0
  } finally {
    await store.close()
  }
}
