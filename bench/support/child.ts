import { monitorEventLoopDelay } from 'node:perf_hooks'

/** The figures that a measured process reports about itself. */
export interface Reading {
  readonly cpuMs: number
  readonly residentBytes: number
  /** Longest and 99th percentile delay of the event loop since the last reading, milliseconds. */
  readonly loopDelayMaxMs: number
  readonly loopDelayP99Ms: number
}

/** Tells the parent that this server is up, and answers its questions from then on. */
export function announce(facts: { readonly url: string }): void {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  process.on('message', (question) => {
    if (question === 'collect') globalThis.gc?.()
    const { user, system } = process.cpuUsage()
    const reading: Reading = {
      cpuMs: (user + system) / 1000,
      residentBytes: process.memoryUsage.rss(),
      loopDelayMaxMs: delay.max / 1e6,
      loopDelayP99Ms: delay.percentile(99) / 1e6,
    }
    delay.reset()
    process.send?.(reading)
  })
  // Stops where the parent has gone: a parent that was killed could not stop this process.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.send?.(facts)
}
