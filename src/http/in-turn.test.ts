import assert from 'node:assert/strict'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { inTurn } from './in-turn.ts'

async function serve(test: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const requests = (count: number) =>
  Array.from({ length: count }, (_, index) => `GET /${index} HTTP/1.1\r\nHost: x\r\n\r\n`).join('')

function until(test: TestContext, isSo: () => boolean): Promise<void> {
  return test.waitFor(() => assert.ok(isSo()), { interval: 5, timeout: 10_000 })
}

describe('requests that are sent ahead of an answer', { timeout: 20_000 }, () => {
  it('run one at a time, in their order, and each is answered', async (test) => {
    const order: string[] = []
    let running = 0
    const port = await serve(
      test,
      inTurn((request, response) => {
        running += 1
        assert.equal(running, 1)
        order.push(request.url ?? '')
        setImmediate(() => {
          running -= 1
          response.end('x')
        })
      }),
    )
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1').on('data', (data: string) => {
      text += data
    })
    const count = 3000
    socket.write(requests(count))
    await until(test, () => text.split('HTTP/1.1 200').length - 1 === count)
    assert.deepEqual(
      order,
      Array.from({ length: count }, (_, index) => `/${index}`),
    )
  })

  it('are not read without end', async (test) => {
    let seen = 0
    const held: ServerResponse[] = []
    const turns = inTurn((_request, response) => held.push(response))
    const port = await serve(test, (request, response) => {
      seen += 1
      turns(request, response)
    })
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    const count = 200_000
    socket.write(requests(count))
    await until(test, () => held.length === 1)
    let before = -1
    // Until nothing more was read for a while: what is in the first pieces has been parsed by then.
    await until(test, () => {
      const isStill = seen === before
      before = seen
      return isStill
    })
    assert.ok(seen < 10_000, `${seen} requests wait`)
  })

  it('leave room for others, also where their handlers are done at once', async (test) => {
    const port = await serve(
      test,
      inTurn((request, response) => response.end(request.url)),
    )
    let answered = 0
    for (let index = 0; index < 20; index += 1)
      connect(port, '127.0.0.1')
        .on('error', () => undefined)
        .on('data', (data) => {
          answered += data.toString('latin1').split('HTTP/1.1').length - 1
        })
        .write(requests(1000))
    await until(test, () => answered > 0)
    const text = await (await fetch(`http://127.0.0.1:${port}/own`)).text()
    assert.equal(text, '/own')
    assert.ok(answered < 20_000, `${answered} of the others were answered before`)
  })
})
