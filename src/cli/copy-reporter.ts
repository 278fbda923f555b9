import type { CopyingProgress } from '#storage/backup.ts'
import { print } from './terminal.ts'

const everyMs = 1_000

/** Prints the progress of a copy that takes longer than a second. */
export function createCopyReporter(title: string): (progress: CopyingProgress) => void {
  let saidAt = performance.now()
  let isBegun = false
  return (progress) => {
    if (progress.kind === 'checking') {
      if (isBegun) print('  copied; now the whole copy is read again and checked')
      return
    }
    const now = performance.now()
    if (now - saidAt < everyMs) return
    saidAt = now
    if (!isBegun) print(title)
    isBegun = true
    print(`  ${size(progress.copied)} of ${size(progress.of)}`)
  }
}

/** In the units of `df -H`. */
export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`
  return `${Math.max(0.1, bytes / 1e6).toFixed(1)} MB`
}
