import type { IncomingMessage } from 'node:http'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { modelsPathOf } from '#upstreams/probe.ts'

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

const version = '/v1'
const modelsPath = '/v1/models'

/**
 * The operation that a path would be under another base address; undefined if there is no such operation. The list of
 * models is that of the first provider.
 */
export function misaddressed(path: string, providers: readonly Provider[]): Misaddressed | undefined {
  const operations = providers.flatMap((provider) =>
    provider.endpoints.map((endpoint) => ({ provider, ...endpoint })),
  )
  const [first] = providers
  const list = first && { provider: first, path: modelsPath, upstreamPath: modelsPathOf(first) }
  const isBase = (base: string) =>
    !base.startsWith(version) || base === version || operations.some((each) => each.path === base)
  for (const operation of list ? [...operations, list] : operations) {
    const found = below(path, operation)
    if (found && isBase(path.slice(0, -found.found.length))) return { provider: operation.provider, ...found }
  }
  return undefined
}

/**
 * Clients of one protocol differ: Anthropic's own add `/v1/messages` to the base address, others `/messages`. So the end
 * of the path tells what this client adds; at most that is what the protocol's own clients add.
 */
function below(path: string, { path: whole, upstreamPath: usual }: Pick<Endpoint, 'path' | 'upstreamPath'>) {
  const least = whole.slice(version.length)
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
export function notServedAdvice({ endpoints }: Provider): string {
  const served = endpoints.map(({ path }) => `POST ${path}`)
  return `This is not served here. Served are ${served.join(', ')}, GET /v1/models and GET /v1/usage.`
}
