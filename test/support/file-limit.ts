import { execFileSync } from 'node:child_process'
import type { Program } from './process.ts'

/**
 * Lets a running program write no file beyond so many bytes, until it is let again: a disk that fails, without the
 * rights that it takes to make one. 'unlimited' ends it.
 */
export function limitFiles({ process: { pid } }: Program, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
}
