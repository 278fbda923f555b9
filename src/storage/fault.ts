/**
 * What is wrong with a disk or a database, in an operator's words. Errors of files, of the embedded database and of a
 * shared one come with codes; this is the one place that explains them.
 */
export interface Fault {
  /** For any reader: names no path, no address, no secret. */
  readonly what: string
  /** For the operator: what to do about the given folder or file. */
  readonly advice: (place: string) => string
}

const full: Fault = {
  what: 'the disk is full',
  advice: (place) => `the disk of ${place} is full: make room on it`,
}
const readOnly: Fault = {
  what: 'the database can only be read',
  advice: (place) =>
    `${place} can only be read: mount its disk for writing, and let the user that runs tollgate own the files in it`,
}
const denied: Fault = {
  what: 'the files of the database may not be opened',
  advice: (place) =>
    `${place} may not be used by this user: let the user that runs tollgate own the folder and the files in it`,
}
const forbidden: Fault = {
  what: 'Node.js was not allowed to write',
  advice: (place) =>
    `Node.js was not allowed to use ${place}: start it with --allow-fs-read and --allow-fs-write for that folder`,
}
const broken: Fault = {
  what: 'the disk failed',
  advice: (place) =>
    `the disk of ${place} failed (disk I/O error): look into the system's log, and at what limits the size of files`,
}
export const locked: Fault = {
  what: 'another process has locked the database',
  advice: (place) => `another process has locked the database in ${place}: stop it`,
}
export const damaged: Fault = {
  what: 'the database is damaged',
  advice: (place) => `the database in ${place} is damaged: put a backup in its place with tollgate restore`,
}
export const noDatabase: Fault = {
  what: 'the file is no database',
  advice: (place) => `${place} is no database`,
}
const noFolder: Fault = {
  what: 'a folder is no folder',
  advice: (place) => `${place} is no folder: name another one`,
}
const missing: Fault = {
  what: 'a file or folder is gone',
  advice: (place) => `there is no ${place}: make it first`,
}
const handles: Fault = {
  what: 'this process may open no more files',
  advice: (place) => `no more files may be opened beside ${place}: raise the limit (ulimit -n)`,
}

export const unreachable = shared('the database server cannot be reached')

/** A fault of a server elsewhere: the advice is what to check there. */
function shared(what: string): Fault {
  return { what, advice: () => what }
}

const byName: Readonly<Record<string, Fault>> = {
  ENOSPC: full,
  EDQUOT: full,
  EROFS: readOnly,
  EACCES: denied,
  EPERM: denied,
  EIO: broken,
  EFBIG: broken,
  ENOENT: missing,
  ENOTDIR: noFolder,
  EEXIST: noFolder,
  EMFILE: handles,
  ENFILE: handles,
  ERR_ACCESS_DENIED: forbidden,
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOTFOUND: unreachable,
  EPIPE: unreachable,
  ETIMEDOUT: unreachable,
  // SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
  '08P01': shared('the pooler before the database server refuses our settings'),
  '25006': shared('the database server only reads'),
  '28000': shared('the database server refuses our credentials'),
  '28P01': shared('the database server refuses our credentials'),
  '3D000': shared('the database is not there'),
  '53100': shared("the database server's disk is full"),
  '53300': shared('the database server has no connection left'),
  '57P01': shared('the database server is stopping'),
  '57P03': shared('the database server is starting'),
  // Faults of a pooler, found by its own or the driver's words: see postgres/reasons.ts.
  POOLER_SETTINGS: shared('the pooler before the database server refuses our settings'),
  POOLER_CLIENTS: shared('the pooler before the database server takes no more clients'),
  POOLER_POOL: shared('the pooler has no connection to the database server free'),
  OWN_POOL: shared('all connections of this instance are busy'),
  NO_ANSWER: shared('the database server, or the pool of a pooler before it, gives no answer in time'),
}

/** The embedded database's own result codes: https://sqlite.org/rescode.html */
const byResult: Readonly<Record<number, Fault>> = {
  3: denied,
  5: locked,
  6: locked,
  8: readOnly,
  10: broken,
  11: damaged,
  13: full,
  14: denied,
  26: noDatabase,
}

/** Errors without a code: poolers and this program's own refusals are known by their words. */
const byWords: readonly (readonly [RegExp, Fault])[] = [
  [/server only reads/, shared('the database server only reads')],
  [/unsupported startup parameter/, shared('the pooler before the database refuses our settings')],
  [
    /too many (?:clients|connections)|no more connections|remaining connection slots|max_client_conn|pool_size/i,
    shared('the database has no connection free'),
  ],
]

/** Looks at the error and at its causes; undefined for any other kind of error. */
export function faultOf(error: unknown): Fault | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const found = ownFaultOf(cause)
    if (found) return found
  }
  return undefined
}

function ownFaultOf(error: Error): Fault | undefined {
  const { code, errcode } = error as { readonly code?: unknown; readonly errcode?: unknown }
  return (
    (typeof errcode === 'number' ? byResult[errcode & 0xff] : undefined) ??
    (typeof code === 'string' ? byName[code] : undefined) ??
    byWords.find(([words]) => words.test(error.message))?.[1]
  )
}

/** Why the store fails, in words for any reader. */
export function failureWords(error: unknown): string {
  return faultOf(error)?.what ?? 'the database does not answer'
}

/**
 * The error with its advice as the message. An error of another kind stays as it is. So does one that has a fault
 * only as its cause: its own message says more of where it happened.
 */
export function explained(error: unknown, place: string): unknown {
  const fault = error instanceof Error ? ownFaultOf(error) : undefined
  return fault ? new Error(fault.advice(place), { cause: error }) : error
}
