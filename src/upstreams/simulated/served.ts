import type { Usage } from '#core/usage.ts'

/** What the simulated upstream did with one request. Tests compare a ledger with it. */
export interface ServedRequest {
  readonly serial: number
  readonly path: string
  readonly model: string
  readonly isStream: boolean
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** As it came, up to the bound. */
  readonly body: string
  readonly startedAt: number
  status: number
  /** The usage that it stated; undefined where it has not stated any. */
  usage: Usage | undefined
  /** Visible units that were written to the connection. */
  unitsSent: number
  /** The caller went away before the end. */
  isClientGone: boolean
  /** It was asked to break the connection, and did. */
  isCut: boolean
  /** Undefined while it runs. */
  endedAt: number | undefined
}

/** Of a request that has just begun. */
export const notYet = {
  status: 0,
  usage: undefined,
  unitsSent: 0,
  isClientGone: false,
  isCut: false,
  endedAt: undefined,
} as const

const servedMax = 10_000
export const bodyLengthMax = 64 * 1024

/** Keeps the last requests, so that a long demo or benchmark does not grow without bound. */
export function createServedLog() {
  let log: ServedRequest[] = []
  return {
    add(request: ServedRequest): void {
      // Cut to half at once: shifting one by one would cost a move of all on each request.
      if (log.length >= servedMax) log = log.slice(servedMax / 2)
      log.push(request)
    },
    list: (): readonly ServedRequest[] => log,
    clear(): void {
      log = []
    },
  }
}
