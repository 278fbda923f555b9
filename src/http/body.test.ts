import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, it } from 'node:test'
import { type BodyReading, readBody } from './body.ts'

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
    assert.deepEqual(reading, { kind: 'read', body: Buffer.from('0123456789') })
  })

  it('reads none', async () => {
    assert.deepEqual(await readingOf(`${head}\r\n`), { kind: 'read', body: Buffer.alloc(0) })
  })

  it('puts chunks together', async () => {
    const reading = await readingOf(
      `${head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
    )
    assert.deepEqual(reading, { kind: 'read', body: Buffer.from('abcde') })
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
})
