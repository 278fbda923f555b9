import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { type Clock, systemClock } from '#core/clock.ts'
import { createAnswer, type Operation, type RequestBody } from './answer.ts'
import { countUnits, messages } from './anthropic.ts'
import { type Behaviour, defaultBehaviour, readBehaviour } from './behaviour.ts'
import { holdsKey, parseBody, readBody, send, signalOf, zipped } from './http.ts'
import { renderModel, renderModels } from './models.ts'
import { chatCompletions, completions, embeddings, responses } from './openai.ts'
import { bodyLengthMax, createServedLog, notYet, type ServedRequest } from './served.ts'
import { gone, writeStream } from './stream.ts'

/**
 * An upstream that needs no account: a real HTTP server that speaks both protocols as their providers do, with
 * answers that were composed in advance. The demo and the tests run against it; it can be asked to misbehave
 * (behaviour.ts) and keeps what it served.
 */
export interface SimulatedUpstream {
  /** Without a path. OpenAI's protocol is below `/v1`. */
  readonly url: string
  readonly served: () => readonly ServedRequest[]
  readonly clearServed: () => void
  /** Stops answering, until the returned function is called. */
  readonly hold: () => () => void
  readonly close: () => Promise<void>
}

export interface SimulatedOptions {
  /** 0 for any that is free. */
  readonly port: number
  readonly host?: string
  readonly now?: Clock
  /** The only credential that it accepts; absent: any, or none. */
  readonly apiKey?: string
  /** Defaults of the behaviour, e.g. `{ chunkMs: 0 }`. */
  readonly behaviour?: Partial<Behaviour>
}

const operations: Readonly<Record<string, Operation>> = {
  '/v1/chat/completions': chatCompletions,
  '/v1/completions': completions,
  '/v1/responses': responses,
  '/v1/embeddings': embeddings,
  '/v1/messages': messages,
  '/v1/messages/count_tokens': countUnits,
}

const noModel = 'you must provide a model parameter'
const notJson = 'We could not parse the JSON body of your request.'

export async function openSimulatedUpstream(options: SimulatedOptions): Promise<SimulatedUpstream> {
  const { port, host = '127.0.0.1', now = systemClock, apiKey } = options
  const base: Behaviour = { ...defaultBehaviour, ...options.behaviour }
  const log = createServedLog()
  let serial = 0
  const { held, hold } = createHold()

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?', 1)
    const isAnthropic = request.headers['anthropic-version'] !== undefined
    const operation = request.method === 'POST' ? operations[path] : undefined
    const renderError = (operation ?? (isAnthropic ? messages : chatCompletions)).renderError
    serial += 1
    response.setHeader(isAnthropic ? 'request-id' : 'x-request-id', `req_sim${serial}`)
    if (apiKey !== undefined && !holdsKey(request, apiKey)) {
      request.resume()
      return send(response, 401, renderError(401, 'Incorrect API key provided.'))
    }
    if (request.method === 'GET') return sendModels(path, isAnthropic, response, renderError)
    if (!operation) {
      request.resume()
      return send(response, 404, renderError(404, `Unknown request URL: ${request.method} ${path}.`))
    }
    return serve(operation, path, request, response, serial)
  }

  async function serve(
    operation: Operation,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
    number: number,
  ): Promise<void> {
    const text = await readBody(request)
    const body = parseBody(text)
    const model = typeof body?.model === 'string' ? body.model : ''
    const served: ServedRequest = {
      ...notYet,
      serial: number,
      path,
      model,
      isStream: body?.stream === true && operation.events !== undefined,
      headers: request.headers,
      body: text.length > bodyLengthMax ? text.slice(0, bodyLengthMax) : text,
      startedAt: now(),
    }
    log.add(served)
    response.on('close', () => {
      served.isClientGone = !response.writableFinished && !served.isCut
      served.endedAt = now()
    })
    if (!body || model === '') return sendError(operation, served, response, 400, body ? noModel : notJson)
    const header = request.headers['x-simulate']
    const behaviour = readBehaviour(model, typeof header === 'string' ? header : undefined, base)
    await answer(operation, body, behaviour, served, response, held)
  }

  // Longer than any pool keeps a connection, so that it is never closed under a request.
  server.keepAliveTimeout = 120_000
  const url = await listenAt(server, port, host)
  return {
    url,
    served: log.list,
    clearServed: log.clear,
    hold,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function listenAt(server: Server, port: number, host: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const address = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`
}

function createHold() {
  let held: Promise<void> | undefined
  return {
    held: () => held,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return () => {
        held = undefined
        resolve()
      }
    },
  }
}

async function answer(
  operation: Operation,
  body: RequestBody,
  behaviour: Behaviour,
  served: ServedRequest,
  response: ServerResponse,
  held: () => Promise<void> | undefined,
): Promise<void> {
  // Only an answer that waits needs to know when the client leaves; a plain one has no listener.
  const signal = served.isStream || behaviour.hang || behaviour.delayMs > 0 ? signalOf(response) : undefined
  const holding = held()
  if (holding) await holding
  try {
    if (signal && behaviour.hang) await gone(signal)
    if (behaviour.delayMs > 0) await setTimeout(behaviour.delayMs, undefined, signal && { signal })
  } catch {
    return
  }
  const { status, retryAfter } = behaviour
  if (status !== undefined && status >= 400) {
    if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter))
    return sendError(operation, served, response, status, `Simulated error ${status}.`)
  }
  served.status = 200
  const { serial: number, model, startedAt } = served
  const made = createAnswer(operation, body, behaviour, { serial: number, model, createdAt: startedAt })
  if (signal && served.isStream && operation.events) {
    return stream(operation.events(made, body), behaviour, served, response, signal)
  }
  const text = behaviour.badJson ? '{"id":"sim","choices":[{' : JSON.stringify(operation.body(made, body))
  if (!behaviour.noUsage && !operation.isFree && !behaviour.badJson) served.usage = made.usage
  served.unitsSent = made.usage.output
  if (behaviour.cutAfter !== undefined) return cut(response, text, served)
  send(response, 200, text, behaviour.gzip)
}

function sendError(
  operation: Operation,
  served: ServedRequest,
  response: ServerResponse,
  status: number,
  message: string,
): void {
  served.status = status
  send(response, status, operation.renderError(status, message))
}

async function stream(
  events: Parameters<typeof writeStream>[1],
  behaviour: Behaviour,
  served: ServedRequest,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...(behaviour.gzip && { 'content-encoding': 'gzip' }),
  })
  response.flushHeaders()
  response.socket?.setNoDelay(true)
  const target = behaviour.gzip ? zipped(response) : response
  const end = await writeStream(target, events, behaviour, served, signal)
  if (end === 'done') target.end()
  if (end === 'cut') {
    served.isCut = true
    // The bytes before are sent first, and then the connection breaks.
    await new Promise((resolve) => response.socket?.write('', resolve))
    response.req.destroy()
    response.destroy()
  }
}

/** Announces a whole body and breaks off in its middle. */
function cut(response: ServerResponse, text: string, served: ServedRequest): void {
  served.usage = undefined
  served.unitsSent = 0
  served.isCut = true
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.write(text.slice(0, text.length / 2), () => {
    response.req.destroy()
    response.destroy()
  })
}

function sendModels(
  path: string,
  isAnthropic: boolean,
  response: ServerResponse,
  renderError: Operation['renderError'],
): void {
  const [, name] = /^\/v1\/models\/(.+)$/.exec(path) ?? []
  const text =
    path === '/v1/models'
      ? renderModels(isAnthropic)
      : name === undefined
        ? undefined
        : renderModel(decodeURIComponent(name), isAnthropic)
  if (text === undefined) send(response, 404, renderError(404, `There is nothing at ${path}.`))
  else send(response, 200, text)
}
