/**
 * The longest turn of this process's event loop while some work runs, in milliseconds of CPU time: wall time would
 * depend on other programs on the machine.
 */
export async function longestTurnIn(work: () => Promise<unknown>): Promise<number> {
  let isOver = false
  let longest = 0
  let last = usedMs()
  const look = () => {
    const now = usedMs()
    longest = Math.max(longest, now - last)
    last = now
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  await work()
  // The last turn, in which the work ended, counts as well.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  isOver = true
  return longest
}

function usedMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
