import { createServer, type Socket } from 'node:net'
import { announce } from '../support/child.ts'

/**
 * The cheapest possible upstream: it answers prepared bytes over raw sockets, so that its own cost is negligible. The
 * request's path selects the answer: `/small`, `/stream` or `/idle`.
 */
const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 }
const small = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_800_000_000,
  model: 'gpt-4o-mini',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello! How can I help you today?' },
      finish_reason: 'stop',
    },
  ],
  usage,
})
const smallAnswer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(small)}\r\n\r\n${small}`,
)
const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
)
const streamChunks = 500

function framed(event: object): Buffer {
  const text = `data: ${JSON.stringify(event)}\n\n`
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
}

const base = {
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_800_000_000,
  model: 'gpt-4o-mini',
}
const chunk = framed({
  ...base,
  choices: [{ index: 0, delta: { content: ' word' }, finish_reason: null }],
  usage: null,
})
const lastChunk = Buffer.concat([
  framed({ ...base, choices: [], usage }),
  Buffer.from('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n'),
])

/** One chunk a turn of the event loop, as models send them; it waits where the socket is full. */
function stream(socket: Socket): void {
  let left = streamChunks
  const next = () => {
    if (socket.destroyed) return
    if (left-- === 0) return void socket.write(lastChunk)
    if (socket.write(chunk)) setImmediate(next)
    else socket.once('drain', next)
  }
  socket.write(streamHead)
  next()
}

function answer(socket: Socket, path: string): void {
  if (path.includes('/stream')) stream(socket)
  else if (path.includes('/idle')) socket.write(Buffer.concat([streamHead, chunk]))
  else socket.write(smallAnswer)
}

const server = createServer({ noDelay: true }, (socket) => {
  let head: Buffer = Buffer.alloc(0)
  let path = ''
  /** Bytes of a body that are still to come; they are counted, not kept. */
  let bodyLeft = -1
  socket.on('error', () => socket.destroy())
  socket.on('data', (data: Buffer) => {
    let rest = data
    while (rest.length > 0 || bodyLeft === 0) {
      if (bodyLeft < 0) {
        head = head.length === 0 ? rest : Buffer.concat([head, rest])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        const text = head.toString('latin1', 0, end)
        // The base address selects the answer; the path after it is the protocol's.
        path = text.slice(0, text.indexOf('\r\n'))
        bodyLeft = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
        rest = head.subarray(end + 4)
        head = Buffer.alloc(0)
      }
      const taken = Math.min(bodyLeft, rest.length)
      bodyLeft -= taken
      rest = rest.subarray(taken)
      if (bodyLeft > 0) return
      bodyLeft = -1
      answer(socket, path)
    }
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') announce({ url: `http://127.0.0.1:${address.port}` })
})
