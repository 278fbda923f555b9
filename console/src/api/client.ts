import createClient from 'openapi-fetch'
import type { components, paths } from './schema.ts'

type Schemas = components['schemas']
export type User = Schemas['User']
export type UserEdit = Schemas['UserEdit']
export type FamilyQuota = Schemas['Quota']['families'][number]
export type Session = Schemas['Session']
export type Scope = Session['permissions'][number]
export type UsageRow = Schemas['UsageReport']['rows'][number]
export type BookedRequest = Schemas['Request']
export type Change = Schemas['Change']
export type AdminKey = Schemas['AdminKey']
export type Setting = Schemas['Setting']
export type BulkRun = Schemas['BulkRun']

/** The admin API of the server that sent this page; the session's cookie goes along. */
export const api = createClient<paths>({ baseUrl: '/' })

/** A refusal of the server, in its own words. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  /** The server's message of each field that it refused, by the field's path. */
  readonly issues: ReadonlyMap<string, string>

  constructor(status: number, body: unknown) {
    const { error, code, issues } = (typeof body === 'object' && body !== null ? body : {}) as Partial<
      Schemas['Error']
    >
    super(error ?? `The server answered ${status}.`)
    this.status = status
    this.code = code ?? ''
    this.issues = new Map(issues?.map(({ path, message }) => [path, message]))
  }
}

interface Answer<T> {
  readonly data?: T
  readonly error?: unknown
  readonly response: Response
}

/** What the server answered as JSON; throws its refusal. Some routes can answer with a file as well, which is a text. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<Exclude<T, string>> {
  const { data, error, response } = await asked
  if (!response.ok || data === undefined) throw new Refusal(response.status, error)
  return data as Exclude<T, string>
}

/** The version of what was read, for `If-Match`. */
export async function withVersion<T>(
  asked: Promise<Answer<T>>,
): Promise<{ readonly value: T; readonly etag: string | undefined }> {
  const { data, error, response } = await asked
  if (!response.ok || data === undefined) throw new Refusal(response.status, error)
  return { value: data, etag: response.headers.get('etag') ?? undefined }
}
