import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Account, createAccount } from './soak/account.ts'
import { ask } from './soak/client.ts'
import { growth } from './soak/growth.ts'
import { type Group, groups, nameOf, runSoak } from './soak/load.ts'
import { type Product, startProduct } from './soak/product.ts'
import { differences, logFaults } from './soak/truth.ts'
import { type Watch, watchProduct } from './soak/watch.ts'
import { startServer } from './support/process.ts'
import { type Figure, report } from './support/report.ts'

/**
 * Everything at once for SOAK_MINUTES: relays, streams, streams that their clients leave, reported usage, edits, a
 * forgotten client beside a good one, and a backup each minute. Prints its progress each minute, and at the end whether
 * memory grew, usage was lost, or a request was wrongly refused. It runs only when it is named, since it takes half an
 * hour.
 */
const minutes = Number(process.env.SOAK_MINUTES ?? 30)
const isShared = process.env.SOAK_DATABASE === 'postgres'
const megabyte = 1_000_000

export async function benchSoak(): Promise<boolean> {
  if (!(minutes > 0)) throw new Error('SOAK_MINUTES takes a number of minutes, such as 1 or 30')
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-soak-'))
  const upstream = await startServer('varied', [])
  let product: Product | undefined
  try {
    product = await startProduct(folder, upstream.url, isShared)
    return await soak(product, folder)
  } finally {
    await product?.close()
    await upstream.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function soak(product: Product, folder: string): Promise<boolean> {
  const account = createAccount()
  const verifierKey = await prepare(product)
  const watch = watchProduct(product, folder)
  const endAt = performance.now() + minutes * 60_000
  const stopped = new AbortController()
  const stop = () => stopped.abort(new Error('stopped'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  void product.program.exit.then((code) => stopped.abort(new Error(`the server ended with ${code}`)))
  const isOver = () => performance.now() >= endAt || stopped.signal.aborted
  const goodMs: number[] = []
  const load = runSoak({
    ...{ url: product.url, adminKey: product.adminKey, verifierKey, staleToken: 'sk-forgotten-long-ago' },
    ...{ account, isOver, goodTook: (ms) => goodMs.push(ms) },
  })
  load.catch((error: unknown) => stopped.abort(error))
  for (let minute = 1; !isOver(); minute++) {
    const backup = wait(Math.min(20_000, minutes * 20_000)).then(() => watch.backUp())
    await untilMinute(minute, isOver)
    await backup
    await sayMinute(minute, product, watch, account, goodMs.splice(0))
  }
  await load
  stopped.signal.throwIfAborted()
  return conclude(product, watch, account)
}

async function untilMinute(minute: number, isOver: () => boolean): Promise<void> {
  const until = performance.now() + 60_000
  while (performance.now() < until && !isOver()) await wait(200)
  if (minute > minutes + 5) throw new Error('the soak does not end')
}

/** Writes the users and makes the verifier's key; returns the key. */
async function prepare({ url, adminKey }: Product): Promise<string> {
  const users = (Object.keys(groups) as Group[]).flatMap((group) =>
    Array.from({ length: groups[group] }, (_, index) => ({
      token: nameOf(group, index),
      tokenLimits: { gpt4: 1e11, claude: 1e11 },
    })),
  )
  const written = await ask(url, { method: 'PUT', path: '/admin/users', key: adminKey, body: { users } })
  const made = await ask(url, {
    path: '/admin/keys',
    key: adminKey,
    body: { name: 'soak', scopes: ['verifier'] },
  })
  if (written.status !== 200) throw new Error(`the users were not written: ${written.text}`)
  const { key } = JSON.parse(made.text)
  if (typeof key !== 'string') throw new Error(`no key was made: ${made.text}`)
  return key
}

async function sayMinute(
  minute: number,
  product: Product,
  watch: Watch,
  account: Account,
  goodMs: readonly number[],
): Promise<void> {
  const { open, reserved } = await product.look()
  const answers = [...account.takeAnswers()].toSorted().map(([who, count]) => `${who}: ${count}`)
  const log = product.logBytes()
  console.log(
    `minute ${minute}: ${log === undefined ? '' : `log ${mb(log)} (most ${mb(watch.logBytesMost())}), `}` +
      `memory ${mb(watch.resident.at(-1) ?? 0)}, ${open} open, ${reserved} reserved, ` +
      `good client's longest answer ${Math.max(0, ...goodMs).toFixed(0)} ms\n  ${answers.join(', ')}`,
  )
}

const mb = (bytes: number) => `${(bytes / megabyte).toFixed(1)} MB`

async function conclude(product: Product, watch: Watch, account: Account): Promise<boolean> {
  const left = await whatIsLeft(product)
  await wait(1000)
  const logAfter = product.logBytes()
  await watch.stop()
  const wrong = await differences(product, account)
  const exitCode = await product.stop()
  const { errors, warnings } = logFaults(product.program.output())
  for (const line of [...wrong, ...errors].slice(0, 20)) console.log(`  ${line}`)
  for (const [message, count] of warnings) console.log(`  warned ${count} times: ${message}`)
  for (const { fault } of watch.backups) if (fault !== undefined) console.log(`  backup: ${fault}`)
  const none = (what: string, value: number, unit = ''): Figure => ({ what, value, unit, atMost: 0 })
  return report(`soak: ${minutes} minutes on ${isShared ? 'PostgreSQL' : 'SQLite'}`, [
    ...(logAfter === undefined
      ? []
      : [
          { what: 'log, most', value: watch.logBytesMost() / megabyte, unit: 'MB', atMost: 64 },
          { what: 'log, a second after the load', value: logAfter / megabyte, unit: 'MB', atMost: 16 },
        ]),
    ...growth(watch.resident, minutes),
    none('open after the last answer', left.open),
    none('reserved after the last answer', left.reserved, 'units'),
    ...['good', 'plain', 'streaming', 'admin', 'report', 'report again'].map((who) =>
      none(
        `${who}: not answered with 2xx, of ${answersOf(account, who, () => true)}`,
        answersOf(account, who, (status) => status < 200 || status > 299),
      ),
    ),
    none(
      'broken connections or 5xx',
      ['cut', 'edited', 'forgotten']
        .map((who) => answersOf(account, who, (status) => status >= 500 || (status === 0 && who !== 'cut')))
        .reduce((sum, count) => sum + count, 0),
    ),
    {
      what: 'forgotten client: let in',
      value: answersOf(account, 'forgotten', (status) => status === 200),
      unit: '',
      atMost: 0,
    },
    none('users whose account differs from what was told', wrong.length),
    {
      what: 'units told',
      value: [...account.told.values()].reduce((sum, units) => sum + units, 0),
      unit: '',
    },
    ...(product.backUp ? backupFigures(watch) : []),
    none('answers of /readyz that were not 200', watch.unready()),
    none('errors in the log', errors.length),
    none('exit code', exitCode ?? 255),
  ])
}

/** Streams that were left need a moment to be settled. */
async function whatIsLeft(product: Product) {
  const until = performance.now() + 5000
  for (;;) {
    const left = await product.look()
    if ((left.open === 0 && left.reserved === 0) || performance.now() > until) return left
    await wait(50)
  }
}

function answersOf({ answers }: Account, who: string, isMeant: (status: number) => boolean): number {
  return [...answers]
    .map(([key, count]) => ({ at: key.lastIndexOf(' '), key, count }))
    .filter(({ key, at }) => key.slice(0, at) === who && isMeant(Number(key.slice(at + 1))))
    .reduce((sum, { count }) => sum + count, 0)
}

function backupFigures({ backups }: Watch): readonly Figure[] {
  return [
    { what: 'backups', value: backups.length, unit: '', atLeast: 1 },
    {
      what: 'backups that failed or are damaged',
      value: backups.filter(({ fault }) => fault !== undefined).length,
      unit: '',
      atMost: 0,
    },
    { what: 'backup, longest', value: Math.max(0, ...backups.map(({ seconds }) => seconds)), unit: 's' },
  ]
}
