import type { Endpoint, Provider } from '#providers/provider.ts'

/** What the gateway answers. Everything else is 404, or 405 where only the method is wrong. */
export type Route =
  | {
      readonly kind: 'relay'
      readonly template: string
      readonly provider: Provider
      readonly endpoint: Endpoint
    }
  | { readonly kind: 'models'; readonly template: '/v1/models' }
  | { readonly kind: 'model'; readonly template: '/v1/models/{id}'; readonly id: string }

export type Routing =
  | { readonly kind: 'found'; readonly route: Route }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'wrong_method'; readonly route: Route; readonly allow: 'GET' | 'POST' }

/** A route that the operator lets through beside those that are known here. */
export interface PassedRoute {
  /** The protocol's name. */
  readonly provider: string
  /** Path on the gateway; always POST. */
  readonly path: string
}

const modelsPath = '/v1/models'
const modelPrefix = '/v1/models/'

/** The routes of all providers' operations, and the list of models that they share. */
export function createRouter(
  providers: readonly Provider[],
  passed: readonly PassedRoute[] = [],
): (method: string, url: string) => Routing {
  const relays = new Map<string, Route>()
  for (const provider of providers) {
    for (const endpoint of provider.endpoints) {
      relays.set(endpoint.path, { kind: 'relay', template: endpoint.path, provider, endpoint })
    }
  }
  for (const { provider: name, path } of passed) {
    const provider = providers.find((each) => each.name === name)
    if (!provider || relays.has(path)) throw new TypeError(`${path} cannot be let through to ${name}`)
    relays.set(path, { kind: 'relay', template: path, provider, endpoint: provider.passedEndpoint(path) })
  }
  return (method, url) => {
    const path = pathOf(url)
    const relay = relays.get(path)
    if (relay) return allowing('POST', method, relay)
    const route = modelRoute(path)
    return route ? allowing('GET', method, route) : { kind: 'not_found' }
  }
}

export function pathOf(url: string): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}

function allowing(allow: 'GET' | 'POST', method: string, route: Route): Routing {
  return method === allow ? { kind: 'found', route } : { kind: 'wrong_method', route, allow }
}

function modelRoute(path: string): Route | undefined {
  if (path === modelsPath) return { kind: 'models', template: modelsPath }
  if (!path.startsWith(modelPrefix) || path.length === modelPrefix.length) return undefined
  try {
    // Names of models may hold a slash, and clients may or may not encode it.
    const id = decodeURIComponent(path.slice(modelPrefix.length))
    return { kind: 'model', template: '/v1/models/{id}', id }
  } catch {
    return undefined
  }
}
