import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'
import type { Product } from './product.ts'

/** Observations of the product while the load runs. */
export interface Watch {
  /** Resident bytes, one figure a second. */
  readonly resident: readonly number[]
  readonly logBytesMost: () => number
  /** Probes of /readyz that were not answered with 200. */
  readonly unready: () => number
  readonly backups: readonly Backup[]
  readonly backUp: () => Promise<void>
  readonly stop: () => Promise<void>
}

interface Backup {
  readonly seconds: number
  /** What is wrong with it. */
  readonly fault?: string
}

export function watchProduct(product: Product, folder: string): Watch {
  const resident: number[] = []
  const backups: Backup[] = []
  let logBytesMost = 0
  let unready = 0
  const end = new AbortController()

  async function run(): Promise<void> {
    while (!end.signal.aborted) {
      resident.push(residentBytes(product.program.process.pid))
      const isReady = await fetch(`${product.url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
      if (!isReady) unready++
      for (let look = 0; look < 10 && !end.signal.aborted; look++) {
        logBytesMost = Math.max(logBytesMost, product.logBytes() ?? 0)
        await wait(100)
      }
    }
  }

  const running = run()
  return {
    resident,
    logBytesMost: () => logBytesMost,
    unready: () => unready,
    backups,
    async backUp() {
      if (product.backUp)
        backups.push(await makeBackup(product.backUp, join(folder, `backup-${backups.length}.db`)))
    },
    async stop() {
      end.abort()
      await running
    },
  }
}

async function makeBackup(backUp: NonNullable<Product['backUp']>, file: string): Promise<Backup> {
  const begin = performance.now()
  const { code, output } = await backUp(file)
  const seconds = (performance.now() - begin) / 1000
  const fault = code === 0 ? faultIn(file) : `exit code ${code}: ${output.trim()}`
  rmSync(file, { force: true })
  return { seconds, ...(fault !== undefined && { fault }) }
}

function faultIn(file: string): string | undefined {
  if (!existsSync(file)) return 'no file'
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    const said = String(db.prepare('pragma integrity_check').get()?.integrity_check)
    if (said !== 'ok') return said
    return Number(db.prepare('select count(*) as users from users').get()?.users) > 0 ? undefined : 'no users'
  } finally {
    db.close()
  }
}

function residentBytes(pid: number | undefined): number {
  const status = `/proc/${pid}/status`
  if (existsSync(status)) return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, 'utf8'))?.[1])
  return 1024 * Number(spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).stdout)
}
