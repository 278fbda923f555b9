import type { Writable } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Usage } from '#core/usage.ts'
import type { AnswerEvent } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import type { ServedRequest } from './served.ts'

/** How a stream ended: told to its end, cut off on request, or left by the client. */
export type StreamEnd = 'done' | 'cut' | 'gone'

/** Writes a stream at its pace, and with the faults that were asked for. `signal` says that the client left. */
export async function writeStream(
  response: Writable,
  events: Iterable<AnswerEvent>,
  behaviour: Behaviour,
  served: ServedRequest,
  signal: AbortSignal,
): Promise<StreamEnd> {
  const { chunkMs, merge, cutAfter, hangAfter } = behaviour
  let waiting: string[] = []
  let waitingUnits = 0
  let waitingUsage: Usage | undefined

  async function flush(): Promise<void> {
    const text = waiting.join('')
    const [units, usage] = [waitingUnits, waitingUsage]
    waiting = []
    waitingUnits = 0
    if (text === '') return
    await write(response, text, behaviour, signal)
    served.unitsSent += units
    served.usage = usage ?? served.usage
    if (chunkMs > 0) await setTimeout(chunkMs, undefined, { signal })
  }

  try {
    for (const event of events) {
      const told = served.unitsSent + waitingUnits
      if (cutAfter !== undefined && told >= cutAfter) {
        await flush()
        return 'cut'
      }
      if (hangAfter !== undefined && told >= hangAfter) {
        await flush()
        await gone(signal)
      }
      signal.throwIfAborted()
      waiting.push(render(event, behaviour))
      waitingUnits += event.units
      waitingUsage = event.usage ?? waitingUsage
      if (waiting.length >= merge) await flush()
    }
    await flush()
    return 'done'
  } catch (error) {
    if (signal.aborted) return 'gone'
    throw error
  }
}

function render({ name, data }: AnswerEvent, { lineEnd, comments }: Behaviour): string {
  const comment = comments ? `: simulated "comment"${lineEnd}${lineEnd}` : ''
  const head = name === undefined ? '' : `event: ${name}${lineEnd}`
  return `${comment}${head}data: ${data}${lineEnd}${lineEnd}`
}

async function write(
  response: Writable,
  text: string,
  { split, gzip }: Behaviour,
  signal: AbortSignal,
): Promise<void> {
  if (split === undefined || split < 1 || gzip) return writeAll(response, text, signal)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += split) {
    await writeAll(response, bytes.subarray(at, at + split), signal)
    // A turn between the writes, so that they leave in packets of their own.
    await setImmediate(undefined, { signal })
  }
}

async function writeAll(response: Writable, data: string | Buffer, signal: AbortSignal): Promise<void> {
  if (response.write(data) || signal.aborted) return
  await new Promise<void>((resolve, reject) => {
    const end = (): void => {
      response.off('drain', end)
      signal.removeEventListener('abort', end)
      if (signal.aborted) reject(signal.reason)
      else resolve()
    }
    response.once('drain', end)
    signal.addEventListener('abort', end, { once: true })
  })
}

/** Waits until the client leaves. */
export function gone(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
