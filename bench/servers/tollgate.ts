import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '#config/read.ts'
import { systemClock } from '#core/clock.ts'
import { createLog } from '#http/log.ts'
import { openServer } from '../../src/server.ts'
import { by } from '../support/by.ts'
import { announce } from '../support/child.ts'

/**
 * Tollgate as an operator runs it: everything on, on a database of its own, or the PostgreSQL that BENCH_DATABASE_URL
 * names; the users have limits.
 */
const upstream = process.argv[2] ?? ''
const users = Number(process.argv[3] ?? 1000)
const dataDir = process.env.BENCH_DATA_DIR ?? mkdtempSync(join(tmpdir(), 'tollgate-bench-'))

const config = readConfig({
  PORT: '0',
  DATA_DIR: dataDir,
  ADMIN_KEY: 'bench-admin-key-1',
  OPENAI_BASE_URL: upstream,
  LOG_LEVEL: process.env.LOG_LEVEL ?? 'info',
  ...(process.env.BENCH_DATABASE_URL !== undefined && { DATABASE_URL: process.env.BENCH_DATABASE_URL }),
  ...(process.env.BENCH_MASTER_KEY !== undefined && { MASTER_KEY: process.env.BENCH_MASTER_KEY }),
})
const server = await openServer(config, createLog({ level: config.logLevel }), systemClock)
const known = await server.store.users.countUsers({}, systemClock())
for (let from = known; from < users; from += 5000) {
  const writes = Array.from({ length: Math.min(5000, users - from) }, (_, index) => ({
    ref: { accessToken: `bench-${from + index}` },
    edit: { nickname: `user ${from + index}`, quotaLimits: { turbo: 1e12 } },
  }))
  await server.store.users.writeUsers(writes, by(systemClock()))
}
announce({ url: server.url })
process.on('SIGTERM', () => {
  void server.stop().then(() => {
    if (!process.env.BENCH_DATA_DIR) rmSync(dataDir, { recursive: true, force: true })
    process.exit(0)
  })
})
