import type { IncomingMessage } from 'node:http'
import { pathPrefixesOf } from '#providers/gathered.ts'
import { createModelPath, withModel } from '#providers/model-path.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'

/**
 * The operation that a path was meant for, though the path is not served. Nearly always the client's base address has a
 * `/v1` too many or too few: clients add the rest of the path themselves, some with `/v1` and some without. They print
 * only the number of a 404, unless the answer says what to change.
 */
export interface Misaddressed {
  /** The provider whose operation was meant. */
  readonly provider: Provider
  /** The path that the base address should have, e.g. `/v1` or nothing. */
  readonly basePath: string
  /** What the client adds to it. */
  readonly added: string
}

/**
 * The operation that a path would be under another base address; undefined if there is no such operation. A list of models
 * whose path several providers share is that of the first.
 */
export function misaddressed(path: string, providers: readonly Provider[]): Misaddressed | undefined {
  const operations = providers.flatMap((provider) =>
    provider.endpoints.map((endpoint) => ({ provider, ...operationOf(endpoint, path) })),
  )
  const lists = providers.map((provider) => {
    const { modelsPath, upstreamModelsPath } = provider
    return { provider, path: modelsPath, upstreamPath: upstreamModelsPath }
  })
  const prefixes = pathPrefixesOf(providers)
  const isBase = (base: string) =>
    !prefixes.some((prefix) => base.startsWith(prefix)) ||
    prefixes.includes(base) ||
    operations.some((each) => each.path === base)
  for (const operation of [...operations, ...lists]) {
    const found = below(path, operation)
    if (found && isBase(path.slice(0, -found.found.length))) return { provider: operation.provider, ...found }
  }
  return undefined
}

/** An operation with the model, if it names one, that the end of this path names. */
function operationOf({ path: template, upstreamPath }: Endpoint, path: string) {
  const model = createModelPath(template.slice(template.lastIndexOf('/')))?.(
    path.slice(path.lastIndexOf('/')),
  )
  const filled = (one: string) => (model === undefined ? one : withModel(one, model))
  return { path: filled(template), upstreamPath: filled(upstreamPath) }
}

interface Operation {
  readonly provider: Provider
  readonly path: string
  readonly upstreamPath: string
}

/**
 * Clients of one protocol differ: Anthropic's own add `/v1/messages` to the base address, others `/messages`. So the end
 * of the path tells what this client adds; at most that is what the protocol's own clients add.
 */
function below(path: string, { provider, path: whole, upstreamPath: usual }: Operation) {
  const least = whole.slice(provider.pathPrefix.length)
  if (path === whole || !path.endsWith(least)) return undefined
  const found = path.endsWith(whole) ? whole : least
  const added = usual.length < found.length ? usual : found
  return { found, basePath: whole.slice(0, -added.length), added }
}

/** Says which base address to set. */
export function baseAddressAdvice({ basePath, added }: Misaddressed, request: IncomingMessage): string {
  const address = `${originOf(request)}${basePath}`
  return `There is no such path here. Set the base address to ${address}: the client adds ${added} itself.`
}

/** The address as the client wrote it; a proxy in front may have stated that the client's side is encrypted. */
function originOf({ headers }: IncomingMessage): string {
  const { host = '' } = headers
  if (!/^[\w.:[\]-]{1,255}$/.test(host)) return 'the address of this server'
  return `${headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'}://${host}`
}

/** Says what is served instead, for the protocol of the caller. */
export function notServedAdvice({ endpoints, modelsPath }: Provider): string {
  const served = endpoints.map(({ method = 'POST', path }) => `${method} ${path}`)
  return `This is not served here. Served are ${served.join(', ')}, GET ${modelsPath} and GET /v1/usage.`
}
