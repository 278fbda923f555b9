import type { RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Waiting requests of one connection from which on reading it pauses, and below which reading resumes. */
const waitingMax = 16
const waitingFew = 8
/** Requests that were sent ahead and may start in one turn, over all connections. */
const runningMax = 8
const placeMs = 1000

/**
 * Runs one request at a time per connection. A client may send many before it reads an answer (pipelining), and
 * node:http hands them all over at once: 200 connections with 400 requests each would run 80,000 together. Here each
 * runs when its answer is the next one to be written, a few of them in one turn of the event loop, so that clients
 * which wait for their answers are served between them. A connection that is far ahead is not read further.
 */
export function inTurn(listen: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, number>()
  const line = createLine()

  function pause(socket: Socket): void {
    if ((waiting.get(socket) ?? 0) <= waitingMax || socket.destroyed) return
    // node:http reads past the stream, where pausing does nothing, until the stream has a listener of its own.
    if (!socket.listeners('data').includes(nothing)) socket.on('data', nothing)
    socket.pause()
  }

  return (request, response) => {
    if (response.socket !== null) {
      listen(request, response)
      return
    }
    const { socket } = request
    const ahead = (waiting.get(socket) ?? 0) + 1
    waiting.set(socket, ahead)
    // Not synchronously: the parser is in the middle of the bytes that it has read.
    if (ahead === waitingMax + 1) setImmediate(pause, socket)
    response.once('socket', () => {
      const left = (waiting.get(socket) ?? 1) - 1
      waiting.set(socket, left)
      if (left === waitingFew) socket.resume()
      line.join(response, () => listen(request, response))
    })
  }
}

/** Starts the requests that joined, in their order, a few in each turn of the event loop. */
function createLine() {
  const line: { readonly response: ServerResponse; readonly start: () => void }[] = []
  let running = 0
  let isSet = false

  function set(): void {
    if (isSet || line.length === 0 || running >= runningMax) return
    isSet = true
    setImmediate(startSome)
  }

  function startSome(): void {
    isSet = false
    // Requests that ended synchronously have left by now, so the bound is counted here: this many in a turn.
    for (let started = 0; started < runningMax && running < runningMax; started += 1) {
      const next = line.shift()
      if (!next) return
      if (!next.response.destroyed) take(next.response, next.start)
    }
    set()
  }

  function take(response: ServerResponse, start: () => void): void {
    running += 1
    let isHeld = true
    const leave = () => {
      if (!isHeld) return
      isHeld = false
      running -= 1
      clearTimeout(timer)
      set()
    }
    const timer = setTimeout(leave, placeMs).unref()
    response.on('close', leave)
    start()
  }

  return {
    join(response: ServerResponse, start: () => void): void {
      line.push({ response, start })
      set()
    },
  }
}

function nothing(): void {}
