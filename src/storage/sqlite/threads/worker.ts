import { parentPort, workerData } from 'node:worker_threads'
import { openBackground } from './background.ts'
import { failureSent, type WorkFailure } from './failure-sent.ts'
import { openWriter, type WriterSettings } from './writer.ts'

/** One piece of work for a thread, which does them in the order of arrival. */
export interface WorkOrder {
  readonly id: number
  readonly name: string
  readonly args: readonly unknown[]
}

export type WorkDone =
  | { readonly id: number; readonly kind: 'done'; readonly value: unknown }
  | (WorkFailure & { readonly id: number })

export interface WorkerSettings {
  readonly work: 'writer' | 'background'
  readonly settings: WriterSettings
}

type Work = Readonly<Record<string, (...args: never[]) => Promise<unknown>>>

function failed(id: number, error: unknown): WorkDone {
  return { id, ...failureSent(error) }
}

/** Order 0 is opening the database; its answer is sent first. */
async function serve(
  port: NonNullable<typeof parentPort>,
  { work, settings }: WorkerSettings,
): Promise<void> {
  const orders: WorkOrder[] = []
  let isBusy = true
  let doer: Work = {}
  port.on('message', (order: WorkOrder) => {
    orders.push(order)
    if (!isBusy) void runAll()
  })

  async function run({ id, name, args }: WorkOrder): Promise<void> {
    try {
      const step = Object.hasOwn(doer, name) && doer[name]
      if (!step) throw new Error(`there is no work ${name}`)
      // The calling side is typed by the same interface, so the arguments fit the method.
      const value = await step(...(args as never[]))
      port.postMessage({ id, kind: 'done', value } satisfies WorkDone)
    } catch (error) {
      port.postMessage(failed(id, error))
    }
    if (name === 'close') port.close()
  }

  async function runAll(): Promise<void> {
    isBusy = true
    for (let order = orders.shift(); order; order = orders.shift()) await run(order)
    isBusy = false
  }

  try {
    doer = await (work === 'writer' ? openWriter(settings) : openBackground(settings))
    port.postMessage({ id: 0, kind: 'done', value: undefined } satisfies WorkDone)
  } catch (error) {
    port.postMessage(failed(0, error))
    port.close()
    return
  }
  await runAll()
}

if (parentPort) void serve(parentPort, workerData)
