import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { logAccess } from './access-log.ts'
import { createLog } from './log.ts'

function openLog() {
  const lines: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } })
  return { log, last: (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}'), lines }
}

const access = {
  requestId: 'req_1',
  method: 'GET',
  route: '/admin/users/{token}',
  status: 200,
  durationMs: 1.26,
  address: '192.0.2.1',
}

describe('the log', () => {
  it('says of an error what it is and why, and nothing it drags along', () => {
    const { log, last, lines } = openLog()
    const cause = Object.assign(new Error('the cause'), { code: 'ECONNREFUSED', request: { url: '/secret' } })
    log.error(
      { err: Object.assign(new TypeError('outer', { cause }), { headers: { authorization: 'secret' } }) },
      'failed',
    )
    const { err } = last()
    assert.partialDeepStrictEqual(err, {
      type: 'TypeError',
      message: 'outer',
      cause: { message: 'the cause', code: 'ECONNREFUSED' },
    })
    assert.doesNotMatch(lines.join(), /secret/)
  })

  it('ends with causes that go in circles', () => {
    const { log, last } = openLog()
    const error = new Error('round')
    error.cause = error
    log.error({ err: error }, 'failed')
    assert.ok(last().err)
  })

  it('gives a request one line, by its template', () => {
    const { log, last } = openLog()
    logAccess(log, { ...access, userId: 'usr_1', adminKeyId: undefined })
    const { time, pid: _pid, hostname: _hostname, ...line } = last()
    assert.equal(typeof time, 'number')
    assert.deepEqual(line, { ...access, level: 'info', msg: 'request', durationMs: 1.3, userId: 'usr_1' })
    logAccess(log, { ...access, status: 503 })
    assert.equal(last().level, 'error')
  })

  it('writes what it gathered when the process exits', () => {
    const script = `
      import { createLog } from ${JSON.stringify(new URL('./log.ts', import.meta.url).href)}
      createLog({ level: 'info' }).info('the last words')
      process.exit(0)`
    const output = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
    })
    assert.match(output, /the last words/)
  })
})
