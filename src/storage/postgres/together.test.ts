import assert from 'node:assert/strict'
import { it } from 'node:test'
import pg from 'pg'
import { together } from './together.ts'

function failure(code: string): Error {
  return Object.assign(new pg.DatabaseError(code, 1, 'error'), { code })
}

it('throws what aborted the transaction, though the refusals behind it come first', async () => {
  const cause = failure('26000')
  const late = new Promise((_, reject) => setTimeout(reject, 5, cause))
  await assert.rejects(together([late, Promise.reject(failure('25P02'))]), (error) => error === cause)
  await assert.rejects(together([Promise.reject(failure('25P02'))]), { code: '25P02' })
  assert.deepEqual(await together([Promise.resolve(1), Promise.resolve('a')]), [1, 'a'])
})
