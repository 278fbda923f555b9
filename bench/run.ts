import { benchAdmin } from './admin.ts'
import { runAgainst } from './against/command.ts'
import { benchImport } from './import.ts'
import { benchLimits } from './limits.ts'
import { benchPostgres } from './postgres.ts'
import { benchPrompt } from './prompt.ts'
import { benchRelay } from './relay.ts'
import { benchSoak } from './soak.ts'
import { benchStream } from './stream.ts'
import { benchUsage } from './usage.ts'
import { benchUsers } from './users.ts'

/**
 * `npm run bench` runs all of them, `npm run bench -- relay stream` those, `npm run bench -- against REV` compares with
 * another revision, `npm run bench -- soak` runs for half an hour. Exit 1 where a bar is not met.
 */
const benches = {
  relay: benchRelay,
  stream: benchStream,
  prompt: benchPrompt,
  users: benchUsers,
  usage: benchUsage,
  limits: benchLimits,
  admin: benchAdmin,
  import: benchImport,
  postgres: benchPostgres,
  soak: benchSoak,
}
type Name = keyof typeof benches
const isName = (name: string): name is Name => name in benches

const asked = process.argv.slice(2)
if (asked[0] === 'against') process.exit(await runAgainst(asked.slice(1)))
const unknown = asked.filter((name) => !isName(name))
if (unknown.length > 0) {
  console.error(
    `there is no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}, and against REV`,
  )
  process.exit(2)
}
/** A bench of endurance and not of speed runs only where it is named. */
const usual = (Object.keys(benches) as Name[]).filter((name) => name !== 'soak')
const names = asked.length > 0 ? asked.filter(isName) : usual
let isAllMet = true
for (const name of names) isAllMet = (await benches[name]()) && isAllMet
process.exitCode = isAllMet ? 0 : 1
