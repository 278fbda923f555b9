import { complain } from './terminal.ts'

/**
 * The signals that ask a command to end in order: SIGTERM, Ctrl-C, and SIGHUP, which comes when the terminal that it was
 * started from is closed and would otherwise end it at once.
 */
const stopSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']

/**
 * Calls back for the first of them, and returns a function that stops listening. When a second SIGTERM or Ctrl-C comes
 * the process ends at once. SIGHUP is never that second one: a shell and the system may both send it for one closed
 * terminal, and a service manager beside SIGTERM.
 */
export function onStopSignal(stop: (signal: NodeJS.Signals) => void): () => void {
  let isStopping = false
  let asked = 0
  const hear = (signal: NodeJS.Signals) => {
    if (signal !== 'SIGHUP') asked += 1
    if (asked > 1) process.exit(130)
    if (isStopping) return
    isStopping = true
    stop(signal)
  }
  for (const signal of stopSignals) process.on(signal, hear)
  return () => {
    for (const signal of stopSignals) process.off(signal, hear)
  }
}

/** @param work may throw the signal's reason; then `words` are printed, and the exit code is that of an interruption */
export async function stoppable(
  work: (signal: AbortSignal) => Promise<number>,
  words: string,
): Promise<number> {
  const controller = new AbortController()
  const end = onStopSignal(() => controller.abort())
  try {
    return await work(controller.signal)
  } catch (error) {
    if (!controller.signal.aborted) throw error
    complain(`tollgate: ${words}`)
    return 130
  } finally {
    end()
  }
}
