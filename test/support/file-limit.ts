import { execFileSync } from 'node:child_process'
import type { Program } from './process.ts'

/**
 * Limits the size of files that a running program can write, until it is called with 'unlimited': simulates a failing
 * disk without root rights.
 */
export function limitFiles({ process: { pid } }: Program, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
}
