import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { foldersOfMachine } from '../../test/support/database-programs.ts'

/**
 * The smallest possible account: one plain `update … where id = …` a transaction, over 16 connections at once. By
 * `pgbench` where it is installed, and otherwise by a loop here, which is slower.
 */
export interface RowUpdates {
  /** The program that asks. */
  readonly by: string
  /** Transactions a second over `rows` rows. */
  readonly run: (rows: number, seconds: number) => Promise<number>
}

const connections = 16
const update = 'update bench_rows set used = used + 1 where id ='

/** @param programs where to look for `pgbench` first */
export async function openRowUpdates(url: string, programs: string, rowsMax: number): Promise<RowUpdates> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('create table bench_rows (id bigint primary key, used bigint not null)')
  await client.query('insert into bench_rows select n, 0 from generate_series(1, $1::bigint) n', [rowsMax])
  await client.query('vacuum analyze bench_rows')
  await client.end()
  const pgbench = [programs, ...foldersOfMachine()]
    .map((folder) => join(folder, 'pgbench'))
    .find((path) => existsSync(path))
  return pgbench === undefined
    ? { by: 'a loop in Node', run: (rows, seconds) => runLoop(url, rows, seconds) }
    : { by: 'pgbench', run: (rows, seconds) => runPgbench(pgbench, url, rows, seconds) }
}

async function runPgbench(program: string, url: string, rows: number, seconds: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-pgbench-'))
  const script = join(folder, 'update.sql')
  writeFileSync(script, `\\set id random(1, ${rows})\n${update} :id;\n`)
  const args = ['-n', '-c', String(connections), '-j', '2', '-T', String(seconds), '-f', script, url]
  try {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data))
    await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    const perSecond = /tps = ([\d.]+)/.exec(said)?.[1]
    if (perSecond === undefined) throw new Error(`pgbench failed: ${said}`)
    return Number(perSecond)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runLoop(url: string, rows: number, seconds: number): Promise<number> {
  const clients = Array.from({ length: connections }, () => new pg.Client(url))
  await Promise.all(clients.map((client) => client.connect()))
  const begin = performance.now()
  let done = 0
  const run = async (client: pg.Client) => {
    while (performance.now() < begin + seconds * 1000) {
      await client.query(`${update} ${1 + Math.floor(Math.random() * rows)}`)
      done++
    }
  }
  await Promise.all(clients.map(run))
  const perSecond = done / ((performance.now() - begin) / 1000)
  await Promise.all(clients.map((client) => client.end()))
  return perSecond
}
