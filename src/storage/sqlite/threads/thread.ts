import { Worker } from 'node:worker_threads'
import { StoreUnavailable } from '#storage/store.ts'
import type { BackgroundWork } from './background.ts'
import { failureHeard } from './failure-sent.ts'
import type { WorkDone, WorkerSettings, WorkOrder } from './worker.ts'
import type { WriterSettings, WriterWork } from './writer.ts'

/** The interface of each kind of thread, by name. */
interface Kinds {
  readonly writer: WriterWork
  readonly background: BackgroundWork
}

/** Sends work to a thread and returns its answers. Rejects with `StoreUnavailable` or `StoreFault`. */
export interface Thread<Work> {
  readonly run: <Name extends keyof Work>(
    name: Name,
    ...args: ArgsOf<Work[Name]>
  ) => Promise<ValueOf<Work[Name]>>
  /** Runs a method of a table by its name, `table.method`. */
  readonly call: (name: string, args: readonly unknown[]) => Promise<unknown>
  readonly close: () => Promise<void>
}

type ArgsOf<Method> = Method extends (...args: infer Args) => unknown ? Args : never
type ValueOf<Method> = Method extends (...args: never[]) => Promise<infer Value> ? Value : never

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

/** Starts a thread and waits until its database is open; throws the error of opening it. */
export async function openThread<Kind extends keyof Kinds>(
  work: Kind,
  settings: WriterSettings,
): Promise<Thread<Kinds[Kind]>> {
  const workerData: WorkerSettings = { work, settings }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData })
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let goneBecause: unknown

  function failAll(error: unknown): void {
    goneBecause = error
    for (const { reject } of waiting.values()) reject(new StoreUnavailable(error))
    waiting.clear()
  }
  worker.on('error', failAll)
  worker.on('exit', (code) => failAll(goneBecause ?? new Error(`the ${work} ended with code ${code}`)))
  worker.on('message', (done: WorkDone) => {
    const caller = waiting.get(done.id)
    waiting.delete(done.id)
    if (done.kind === 'done') return caller?.resolve(done.value as never)
    const failure = failureHeard(done)
    caller?.reject(done.id === 0 ? done.error : failure)
  })

  await new Promise<unknown>((resolve, reject) => waiting.set(0, { resolve, reject }))

  function order(name: string, args: readonly unknown[]): Promise<never> {
    if (goneBecause !== undefined) return Promise.reject(new StoreUnavailable(goneBecause))
    const id = ++lastId
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      worker.postMessage({ id, name, args } satisfies WorkOrder)
    })
  }
  return {
    run: (name, ...args) => order(String(name), args),
    call: order,
    async close() {
      if (goneBecause === undefined) await order('close', [])
      await worker.terminate()
    },
  }
}
