import { connect, type Socket } from 'node:net'

/**
 * A load over raw sockets: prepared request bytes, and answers that are scanned only for their end, so that the
 * generator costs a fraction of what it measures.
 */
export interface LoadResult {
  readonly requests: number
  readonly failed: number
  readonly seconds: number
  readonly bytes: number
  /** Sorted latencies, milliseconds. */
  readonly latencies: readonly number[]
}

export interface LoadOptions {
  readonly url: string
  readonly connections: number
  /** Stops after this many requests… */
  readonly requests?: number
  /** …or this long. */
  readonly seconds?: number
  /** The request's bytes for its number. */
  readonly request: (number: number) => Buffer
}

export function requestBytes(host: string, path: string, accessToken: string, body: string | Buffer): Buffer {
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${accessToken}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.from(body)])
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { hostname, port } = new URL(options.url)
  const latencies: number[] = []
  let started = 0
  let failed = 0
  let bytes = 0
  const begin = performance.now()
  const endAt = options.seconds === undefined ? Number.POSITIVE_INFINITY : begin + options.seconds * 1000
  const isOver = () => started >= (options.requests ?? Number.POSITIVE_INFINITY) || performance.now() >= endAt

  const drive = (socket: Socket) =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0
      let answer = createAnswer()
      const next = () => {
        if (isOver()) {
          socket.destroy()
          return resolve()
        }
        answer = createAnswer()
        sentAt = performance.now()
        socket.write(options.request(started++))
      }
      socket.on('error', reject)
      socket.on('close', () => resolve())
      socket.on('data', (data: Buffer) => {
        bytes += data.length
        const status = answer.take(data)
        if (status === undefined) return
        latencies.push(performance.now() - sentAt)
        if (status !== 200) failed++
        next()
      })
      next()
    })

  const sockets = await Promise.all(
    Array.from(
      { length: options.connections },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => resolve(socket))
          socket.once('error', reject)
        }),
    ),
  )
  await Promise.all(sockets.map(drive))
  const seconds = (performance.now() - begin) / 1000
  return { requests: latencies.length, failed, seconds, bytes, latencies: latencies.sort((a, b) => a - b) }
}

const chunkedEnd = Buffer.from('0\r\n\r\n')

/** Follows one answer; returns its status once it is complete. */
function createAnswer(): { readonly take: (data: Buffer) => number | undefined } {
  let status = 0
  let left = -1
  let isChunked = false
  let head: Buffer = Buffer.alloc(0)
  return {
    take(data) {
      let body = data
      if (status === 0) {
        head = head.length === 0 ? data : Buffer.concat([head, data])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return undefined
        const text = head.toString('latin1', 0, end)
        status = Number(text.slice(9, 12))
        const length = /content-length: (\d+)/i.exec(text)?.[1]
        isChunked = length === undefined
        left = Number(length ?? 0)
        body = head.subarray(end + 4)
      }
      if (isChunked) return endsWith(body, chunkedEnd) ? status : undefined
      left -= body.length
      return left <= 0 ? status : undefined
    },
  }
}

function endsWith(data: Buffer, end: Buffer): boolean {
  return data.length >= end.length && data.compare(end, 0, end.length, data.length - end.length) === 0
}

export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
