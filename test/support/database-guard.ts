import { spawn } from 'node:child_process'
import { Socket } from 'node:net'

/** Removes a server and its folder when the process that started them has ended, in whatever way. */
export interface Guard {
  /** Names the process to end, or to wait for; undefined when it has ended. */
  readonly watch: (pid: number | undefined, how?: 'end' | 'await') => void
  /** Call it when there is nothing left to clean up. */
  readonly dismiss: () => void
}

/**
 * The guard reads a pipe until the test's process is gone, which also works for SIGKILL. Then it ends the last
 * process it was given, or waits for it, and removes the folder. It waits first because a server whose folder
 * disappears does not release its shared memory. A dead process can stay for ever as a zombie, so the wait is
 * limited.
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
  // In a process group of its own: Ctrl-C at the terminal must not end the guard itself.
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
