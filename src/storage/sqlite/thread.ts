import { Worker } from 'node:worker_threads'
import { StoreUnavailable } from '../store.ts'
import type { WorkDone, WorkName, WorkOrder } from './worker.ts'
import type { WriterSettings, WriterWork } from './writer.ts'

export type WorkResult<Name extends WorkName> = Awaited<ReturnType<WriterWork[Name]>>

/** Hands work to the writer's thread and brings the answers back. Rejects with `StoreUnavailable`. */
export interface WriterThread {
  readonly run: <Name extends WorkName>(
    name: Name,
    ...args: Parameters<WriterWork[Name]>
  ) => Promise<WorkResult<Name>>
  readonly close: () => Promise<void>
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** Starts the thread and waits until its database is open; throws what opening it threw. */
export async function openWriterThread(settings: WriterSettings): Promise<WriterThread> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: settings })
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let goneBecause: unknown

  function failAll(error: unknown): void {
    goneBecause = error
    for (const { reject } of waiting.values()) reject(new StoreUnavailable(error))
    waiting.clear()
  }
  worker.on('error', failAll)
  worker.on('exit', (code) => failAll(goneBecause ?? new Error(`the writer ended with code ${code}`)))
  worker.on('message', (done: WorkDone) => {
    const caller = waiting.get(done.id)
    waiting.delete(done.id)
    if (done.kind === 'done') caller?.resolve(done.value as never)
    else caller?.reject(done.id === 0 ? done.error : new StoreUnavailable(done.error))
  })

  await new Promise<unknown>((resolve, reject) => waiting.set(0, { resolve, reject }))

  const run: WriterThread['run'] = (name, ...args) => {
    if (goneBecause !== undefined) return Promise.reject(new StoreUnavailable(goneBecause))
    const id = ++lastId
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, name, args } satisfies WorkOrder)
    })
  }
  return {
    run,
    async close() {
      if (goneBecause === undefined) await run('close')
      await worker.terminate()
    },
  }
}
