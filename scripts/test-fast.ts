import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'

/** Runs the tests without the slow files, which the table in CONTRIBUTING.md names. Arguments are passed on to Node. */
const rows = readFileSync('CONTRIBUTING.md', 'utf8').match(/^\| \d+ to \d+ \|.*$/gm) ?? []
const slow = new Set(rows.flatMap((row) => row.match(/(?:src|test)\/[\w/-]+\.test\.ts/g) ?? []))
const all = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'])
const fast = all.filter((file) => !slow.has(file))
if (slow.size === 0 || fast.length !== all.length - slow.size)
  throw new Error(`CONTRIBUTING.md names files that are not there, among ${[...slow].join(', ')}`)

const setUp = '--test-global-setup=test/support/global-setup.ts'
const { status } = spawnSync(process.execPath, ['--test', setUp, ...process.argv.slice(2), ...fast], {
  stdio: 'inherit',
})
process.exitCode = status ?? 1
