import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openPostgresStore } from '#storage/postgres/open.ts'
import { testPolicy } from '../support/stores.ts'
import { createTestDatabase } from '../support/test-databases.ts'

describe('the time of instances whose machines disagree', {
  skip: process.env.TEST_DATABASES === 'sqlite',
}, () => {
  it('is the database’s, and a clock that is good enough is left alone', async () => {
    const { url, drop } = await createTestDatabase()
    let skewMs = -40_000
    const local = () => Date.now() + skewMs
    const store = await openPostgresStore({
      ...{ url, masterKey: Buffer.alloc(32, 7), policy: testPolicy, instance: 'test' },
      localClock: local,
    })
    const agreed = store.agreeOnTime(local)
    const isNear = () => Math.abs(agreed() - Date.now()) < 300
    assert.ok(isNear(), `${agreed() - Date.now()} ms off`)
    skewMs = 3_600_000
    assert.equal(isNear(), false, 'nobody has looked yet')
    await store.metering.beat(0)
    assert.ok(isNear(), `${agreed() - Date.now()} ms off`)
    skewMs = 20
    await store.metering.beat(0)
    assert.equal(Math.round((agreed() - Date.now()) / 10), 2, 'so little is nobody’s fault')
    await store.close()
    await drop()
  })
})
