import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { type FileHandle, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { appendLines, openLines } from '#metering/durable-lines.ts'
import { openJournal } from '#metering/journal.ts'
import { parseSettlement } from '#metering/journal-line.ts'
import { openSetAside, setAsidePathIn, takeSetAside } from '#metering/set-aside.ts'
import { withFolder } from '../support/folder.ts'
import { now, settlement } from './questions.ts'

/** The size up to which this process may write a file. The kernel takes what fits, and fails the write after it. */
function limitOwnFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}

/** Runs with a disk that is full at so many bytes, then with space again. */
async function whenFullAt(bytes: number, run: () => Promise<void>): Promise<void> {
  limitOwnFiles(bytes)
  try {
    await run()
  } finally {
    limitOwnFiles('unlimited')
  }
}

const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })

/** A disk that takes so many bytes of each write, and so many in all. */
function takeOnly(file: FileHandle, { atOnce, inAll }: { readonly atOnce: number; readonly inAll: number }) {
  const write = file.write.bind(file) as (bytes: Buffer, at: number, length: number) => Promise<object>
  let left = inAll
  const part = (bytes: Buffer, at: number, length: number) => {
    const taken = Math.min(length, atOnce, left)
    if (taken === 0) return Promise.reject(noSpace())
    left -= taken
    return write(bytes, at, taken)
  }
  Object.assign(file, { write: part })
  return () => Object.assign(file, { write })
}

const withLines = (run: (file: FileHandle, text: () => Promise<string>) => Promise<void>) =>
  withFolder(async (folder) => {
    const path = join(folder, 'lines')
    const file = await openLines(path)
    try {
      await run(file, () => readFile(path, 'utf8'))
    } finally {
      await file.close()
    }
  })

describe('lines on a disk', () => {
  it('are whole where each write takes a part', () =>
    withLines(async (file, text) => {
      takeOnly(file, { atOnce: 3, inAll: 1000 })
      await appendLines(file, ['first line', 'ß second'])
      assert.equal(await text(), 'first line\nß second\n')
    }))

  it('are removed where the disk becomes full in the middle of them', () =>
    withLines(async (file, text) => {
      await appendLines(file, ['first'])
      const mend = takeOnly(file, { atOnce: 100, inAll: 10 })
      await assert.rejects(appendLines(file, ['second', 'third']), { code: 'ENOSPC' })
      assert.equal(await text(), 'first\n')
      mend()
      await appendLines(file, ['fourth'])
      assert.equal(await text(), 'first\nfourth\n')
    }))

  it('are removed where the disk cannot sync them', () =>
    withLines(async (file, text) => {
      const { datasync } = file
      Object.assign(file, { datasync: () => Promise.reject(noSpace()) })
      await assert.rejects(appendLines(file, ['first']), { code: 'ENOSPC' })
      Object.assign(file, { datasync: datasync.bind(file) })
      await appendLines(file, ['second'])
      assert.equal(await text(), 'second\n')
    }))

  it('spoil no later line where a torn one cannot be removed', () =>
    withLines(async (file, text) => {
      const { truncate } = file
      Object.assign(file, { truncate: () => Promise.reject(noSpace()) })
      const mend = takeOnly(file, { atOnce: 100, inAll: 10 })
      await assert.rejects(appendLines(file, ['second', 'third']), { code: 'ENOSPC' })
      mend()
      Object.assign(file, { truncate: truncate.bind(file) })
      await appendLines(file, ['fourth'])
      assert.equal(await text(), 'second\nthi\nfourth\n')
    }))
})

it('a journal on a full disk keeps what it said was kept, and goes on when there is space', () =>
  withFolder(async (folder) => {
    const path = join(folder, 'journal')
    const journal = openJournal(path)
    const kept: string[] = []
    const append = async (ids: readonly string[]) => {
      await journal.append(ids.map((id) => settlement(id, { output: 1 })))
      kept.push(...ids)
    }
    let failures = 0
    await whenFullAt(20_000, async () => {
      for (let index = 0; index < 100; index++)
        await append([`a${index}`, `b${index}`]).catch((error: { readonly code: string }) => {
          assert.equal(error.code, 'EFBIG')
          failures++
        })
    })
    assert.ok(failures > 0 && kept.length > 0, 'the disk became full on the way')
    await append(['last'])
    await journal.close()
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => parseSettlement(line)?.requestId),
      kept,
    )
  }))

it('what is set aside on a full disk is whole or refused', () =>
  withFolder(async (folder) => {
    const setAside = openSetAside(folder, 'test', () => now)
    const kept: string[] = []
    const add = (id: string) =>
      setAside.add({ settlement: settlement(id, { output: 1 }) }, 'no reason').then(() => kept.push(id))
    await whenFullAt(3_000, async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, index) => add(`s${index}`)))
      assert.ok(outcomes.some(({ status }) => status === 'rejected'))
    })
    await add('last')
    assert.match(await readFile(setAsidePathIn(folder, 'test'), 'utf8'), /\n$/)
    const [taken] = await takeSetAside(folder, 'again')
    assert.deepEqual(
      taken?.kept.map((one) => 'settlement' in one && one.settlement.requestId),
      kept,
    )
  }))
