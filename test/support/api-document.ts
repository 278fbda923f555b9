import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Schema, Ways } from './document-values.ts'

/** The API's description as a judge of requests and answers. */
export interface ApiDocument {
  readonly operations: readonly DocumentedOperation[]
  readonly resolve: Ways['resolve']
}

export interface DocumentedOperation {
  readonly id: string
  /** In upper case. */
  readonly method: string
  readonly path: string
  readonly parameters: readonly Parameter[]
  readonly body: Schema | undefined
  /** Media types of bodies that are not JSON. */
  readonly textTypes: readonly string[]
  /** Whether the description allows this JSON body. */
  readonly takes: (body: unknown) => boolean
  /** What the description says against an answer; empty where it is one of those described. */
  readonly faultsOf: (status: number, mediaType: string, text: string) => readonly string[]
}

export interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required?: boolean
  readonly schema: Schema
}

type Media = Readonly<Record<string, { readonly schema: Schema }>>

interface Operation {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: Media }
  readonly responses: Readonly<Record<string, { readonly content?: Media }>>
}

export function readApiDocument(text: string): ApiDocument {
  const document = JSON.parse(text) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  }
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')
  const at = (...parts: string[]): ValidateFunction =>
    ajv.compile({ $ref: `document#/${parts.map(escaped).join('/')}` })
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const place = ['paths', path, method]
      const answers = new Map(
        Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
          Object.keys(content).map((type) => [
            `${status} ${type}`,
            at(...place, 'responses', status, 'content', type, 'schema'),
          ]),
        ),
      )
      const type = 'application/json'
      const body = operation.requestBody?.content[type]?.schema
      const takes = body && at(...place, 'requestBody', 'content', type, 'schema')
      return {
        id: operation.operationId,
        method: method.toUpperCase(),
        path,
        parameters: operation.parameters ?? [],
        body,
        textTypes: Object.keys(operation.requestBody?.content ?? {}).filter((each) => each !== type),
        takes: (value: unknown) => takes === undefined || takes(value),
        faultsOf(status: number, mediaType: string, answer: string) {
          const validate = answers.get(`${status} ${mediaType}`)
          if (!validate) return [`${status} with ${mediaType || 'no type'} is not described`]
          if (/[/+]json$/.test(mediaType) && !validate(JSON.parse(answer)))
            return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
          return []
        },
      }
    }),
  )
  return { operations, resolve: (schema) => resolved(document, schema) }
}

function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}

function resolved(document: object, schema: Schema): Schema {
  const { $ref, ...beside } = schema
  if (typeof $ref !== 'string') return schema
  const found = $ref
    .slice(2)
    .split('/')
    .reduce<unknown>((value, part) => Reflect.get(value as object, part), document)
  return { ...(found as Schema), ...beside }
}
