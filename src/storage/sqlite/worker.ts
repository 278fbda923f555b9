import { parentPort, workerData } from 'node:worker_threads'
import { openWriter, type WriterSettings, type WriterWork } from './writer.ts'

/**
 * The writer in a thread of its own, so that waiting for the disk stops no stream. Work is done strictly one
 * after the other, in the order in which it came.
 */
export type WorkName = keyof WriterWork

export interface WorkOrder {
  readonly id: number
  readonly name: WorkName
  readonly args: readonly unknown[]
}

export type WorkDone =
  | { readonly id: number; readonly kind: 'done'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'failed'; readonly error: unknown }

/** Sent once, when the database is open, under the id 0. */
async function serve(port: NonNullable<typeof parentPort>, settings: WriterSettings): Promise<void> {
  const orders: WorkOrder[] = []
  let isBusy = true
  port.on('message', (order: WorkOrder) => {
    orders.push(order)
    if (!isBusy) void work()
  })

  let writer: WriterWork
  async function work(): Promise<void> {
    isBusy = true
    for (let order = orders.shift(); order; order = orders.shift()) {
      const { id, name, args } = order
      try {
        const run: (...given: never[]) => Promise<unknown> = writer[name]
        // The proxy on the other side is typed by the same interface, so the arguments are the method's own.
        const value = await run(...(args as never[]))
        port.postMessage({ id, kind: 'done', value } satisfies WorkDone)
        if (name === 'close') port.close()
      } catch (error) {
        port.postMessage({ id, kind: 'failed', error } satisfies WorkDone)
      }
    }
    isBusy = false
  }

  try {
    writer = await openWriter(settings)
    port.postMessage({ id: 0, kind: 'done', value: undefined } satisfies WorkDone)
  } catch (error) {
    port.postMessage({ id: 0, kind: 'failed', error } satisfies WorkDone)
    port.close()
    return
  }
  await work()
}

if (parentPort) void serve(parentPort, workerData)
