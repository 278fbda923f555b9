import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, it } from 'node:test'
import { type BodyReading, createBodyBudget, readBody } from './body.ts'

/** Sends bytes to a real server and answers how it read the body, of at most 10 bytes. */
async function readingOf(
  bytes: string,
  options: { readonly thenHangUp?: boolean } = {},
): Promise<BodyReading> {
  const { promise, resolve } = Promise.withResolvers<BodyReading>()
  const server = createServer((request, response) => {
    const reading = readBody(request, 10)
    resolve(reading.finally(() => response.end()))
    // Who refuses a body must not go on taking it.
    void reading.then(({ kind }) => kind === 'too_large' && assert.notEqual(request.readableFlowing, true))
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes, () => options.thenHangUp && socket.destroy())
  const reading = await promise
  socket.destroy()
  server.closeAllConnections()
  server.close()
  return reading
}

const head = 'POST / HTTP/1.1\r\nHost: x\r\n'

describe('readBody', { timeout: 5000 }, () => {
  it('reads a body of a stated length', async () => {
    const reading = await readingOf(`${head}content-length: 10\r\n\r\n0123456789`)
    assert.deepEqual(reading, { kind: 'read', value: Buffer.from('0123456789') })
  })

  it('reads none', async () => {
    assert.deepEqual(await readingOf(`${head}\r\n`), { kind: 'read', value: Buffer.alloc(0) })
  })

  it('puts chunks together', async () => {
    const reading = await readingOf(
      `${head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
    )
    assert.deepEqual(reading, { kind: 'read', value: Buffer.from('abcde') })
  })

  it('refuses a stated length at once, without waiting for the body', async () => {
    assert.deepEqual(await readingOf(`${head}content-length: 11\r\n\r\n`), { kind: 'too_large' })
  })

  it('refuses at the byte that is too much where no length is stated', async () => {
    const chunk = 'b\r\n01234567890\r\n'
    assert.deepEqual(await readingOf(`${head}transfer-encoding: chunked\r\n\r\n${chunk}`), {
      kind: 'too_large',
    })
  })

  it('says when the client has gone', async () => {
    assert.deepEqual(await readingOf(`${head}content-length: 9\r\n\r\nabc`, { thenHangUp: true }), {
      kind: 'gone',
    })
  })

  it('holds no more than all bodies may together, and gives it back', async (test) => {
    const budget = createBodyBudget(900_000)
    const body = Buffer.alloc(400_000)
    const server = createServer((request, response) => {
      void readBody(request, 10_000_000, { budget }).then(({ kind }) =>
        response.writeHead(200, { connection: 'close', 'content-length': kind.length }).end(kind),
      )
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    test.after(() => {
      server.closeAllConnections()
      server.close()
    })
    /** Sends all but the last byte, and answers what sends it and what was read then. */
    const begin = () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(`${head}content-length: ${body.length + 1}\r\n\r\n`)
      socket.write(body)
      const answer = once(socket, 'data').then(([data]) => /\w+$/.exec(String(data).trim())?.[0])
      return { end: () => socket.write('x'), answer }
    }
    const held = [begin(), begin()]
    // The first 64 KiB of each are free.
    while (budget.held() < 2 * (body.length - 65_536)) await new Promise((turn) => setImmediate(turn))
    assert.equal(await begin().answer, 'overloaded')
    for (const each of held) each.end()
    assert.deepEqual(await Promise.all(held.map(({ answer }) => answer)), ['read', 'read'])
    assert.equal(budget.held(), 0)
  })
})
