import { spawn } from 'node:child_process'
import { Socket } from 'node:net'

/** Sees to it that a server and its folder are gone when the process that started them is, however it ended. */
export interface Guard {
  /** The process to end, or one that ends by itself; undefined when it has ended. */
  readonly watch: (pid: number | undefined, how?: 'end' | 'await') => void
  /** Nothing is left to see to. */
  readonly dismiss: () => void
}

/**
 * It reads until whoever started it is gone, by a signal too that nobody can catch; then it ends the process it was
 * told of last, or waits for that, and takes the folder away: who loses its folder while it works gives nothing back
 * of what it shares with others. A process may be there for good where nobody collects the dead: it does not wait for
 * ever.
 */
const script = `
pid=
how=
while read -r next line; do how=$next pid=$line; done
if [ "$how" = end ] && [ -n "$pid" ]; then kill -QUIT "$pid"; fi
tries=0
while [ "$tries" -lt 100 ]; do
  if [ -z "$pid" ] || ! kill -0 "$pid"; then rm -rf "$1" && exit; fi
  tries=$((tries + 1))
  sleep 0.1
done
kill -KILL "$pid"
rm -rf "$1"
`

export function startGuard(folder: string): Guard {
  // In a group of its own: what ends everybody at the terminal is what it is there for.
  const guard = spawn('sh', ['-c', script, 'sh', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.unref()
  if (guard.stdin instanceof Socket) guard.stdin.unref()
  guard.stdin.on('error', () => {})
  return {
    watch: (pid, how = 'end') => void guard.stdin.write(`${how} ${pid ?? ''}\n`),
    dismiss: () => void guard.stdin.end(),
  }
}
