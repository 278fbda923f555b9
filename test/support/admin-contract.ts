import { readFileSync } from 'node:fs'
import { Ajv, type ErrorObject } from 'ajv'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { contractPath } from './admin-server.ts'

/**
 * Judges answers by the text of the contract, which is not changed. Where Tollgate departs from it on purpose, the
 * departure is listed here with its reason; any other mismatch with the contract's schemas is an error.
 */
export interface Contract {
  /** Every operation × status in the contract, such as `GET /admin/users 200`. */
  readonly answers: readonly string[]
  /** The contract's operation for a method and raw path, such as `GET /admin/users/{token}`. */
  readonly operationOf: (method: string, path: string) => string | undefined
  /** What the contract finds wrong with an answer; empty where it is valid or not part of the contract. */
  readonly faultsOf: (operation: string, status: number, body: unknown) => readonly string[]
}

interface Departure {
  readonly reason: string
  readonly applies: (error: ErrorObject) => boolean
}

export const departures: readonly Departure[] = [
  {
    reason: 'The contract lets POST create `temporary` users and then has no way to say so of them.',
    applies: (error) =>
      error.keyword === 'enum' && /\/type$/.test(error.instancePath) && error.data === 'temporary',
  },
  {
    reason: 'Counters are 64-bit: a year of use is too much for int32. The total of a list stays int32.',
    applies: (error) =>
      error.keyword === 'format' &&
      error.params.format === 'int32' &&
      Number.isSafeInteger(error.data) &&
      /\/(tokenLimits|tokenCounts)\/[^/]+$|\/promptCount$/.test(error.instancePath),
  },
]

/** Members that make an answer useful to a client; the contract itself requires none. */
const expectedMembers: Readonly<Record<string, readonly string[]>> = {
  'GET /admin/users 200': ['users', 'count'],
  'POST /admin/users 200': ['token'],
  'PUT /admin/users 200': ['upserted_users', 'count'],
  'GET /admin/users/{token} 200': ['token', 'type', 'tokenCounts', 'createdAt'],
  'PUT /admin/users/{token} 200': ['token', 'type', 'tokenCounts', 'createdAt'],
  'DELETE /admin/users/{token} 200': ['token', 'type', 'disabledAt'],
}

interface ContractText {
  readonly paths: Record<string, Record<string, { readonly responses: Record<string, unknown> }>>
}

export function loadContract(): Contract {
  const text = parse(readFileSync(contractPath, 'utf8')) as ContractText
  const ajv = new Ajv({ strict: false, allErrors: true, verbose: true })
  addFormats.default(ajv)
  ajv.addSchema(text, 'contract')
  const escaped = (path: string) => path.replaceAll('~', '~0').replaceAll('/', '~1')
  const answers = Object.entries(text.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.keys(responses).map((status) => ({
        path,
        method,
        status,
        name: `${method.toUpperCase()} ${path} ${status}`,
      })),
    ),
  )
  const validators = new Map(
    answers.map(({ path, method, status, name }) => {
      const pointer = `/paths/${escaped(path)}/${method}/responses/${status}/content/application~1json/schema`
      return [name, ajv.compile({ $ref: `contract#${encodeURI(pointer)}` })] as const
    }),
  )
  return {
    answers: answers.map(({ name }) => name),
    operationOf(method, path) {
      const [bare = ''] = path.split('?')
      const template = /^\/admin\/users\/[^/]+$/.test(bare) ? '/admin/users/{token}' : bare
      return text.paths[template]?.[method.toLowerCase()] && `${method} ${template}`
    },
    faultsOf(operation, status, body) {
      const name = `${operation} ${status}`
      const validate = validators.get(name)
      if (!validate) return []
      const missing = (status >= 400 ? ['error'] : (expectedMembers[name] ?? [])).filter(
        (member) => !hasMember(body, member),
      )
      validate(body)
      const errors = (validate.errors ?? []).filter(
        (error) => !departures.some((departure) => departure.applies(error)),
      )
      return [
        ...missing.map((member) => `${name}: no ${member}`),
        ...errors.map((error) => `${name}: ${error.instancePath} ${error.message}`),
      ]
    },
  }
}

function hasMember(body: unknown, name: string): boolean {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, name)
}
