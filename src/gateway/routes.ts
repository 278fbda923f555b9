import { pathOf } from '#http/visit.ts'
import { createPathTest, type PassedMethod, type PassedRoute, standInOf } from '#providers/passed-route.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { withoutModel } from '#providers/without-model.ts'

/** The paths that the gateway answers. Any other is 404, or 405 if only the method is wrong. */
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
  | { readonly kind: 'wrong_method'; readonly route: Route; readonly allow: readonly string[] }

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
  const others = passed.map((route) => createPassed(route, providers))
  // Exact paths go before those with a *.
  others.sort((one, other) => Number(one.template.includes('*')) - Number(other.template.includes('*')))
  return (method, url) => {
    const path = pathOf(url)
    const relay = relays.get(path)
    if (relay) return allowing('POST', method, relay)
    const other = others.find(({ takes }) => takes(path))
    if (other) return other.routing(method, path)
    const route = modelRoute(path)
    return route ? allowing('GET', method, route) : { kind: 'not_found' }
  }
}

interface Passed {
  readonly template: string
  readonly takes: (path: string) => boolean
  readonly routing: (method: string, path: string) => Routing
}

function createPassed(passed: PassedRoute, providers: readonly Provider[]): Passed {
  const { provider: name, path: template, methods = ['POST'], upstream, runsModels = true } = passed
  const provider = providers.find((each) => each.name === name)
  if (!provider) throw new TypeError(`${template} cannot be let through to ${name}`)
  const route = (method: PassedMethod, path: string): Route => {
    const endpoint = withoutModel(
      { ...provider.passedEndpoint(path), ...(upstream !== undefined && { upstream }) },
      { method, model: standInOf(passed, method), runsModels },
    )
    return { kind: 'relay', template, provider, endpoint }
  }
  const [first = 'POST'] = methods
  return {
    template,
    takes: createPathTest(template),
    routing(asked, path) {
      const method = methods.find((each) => each === asked)
      if (method) return { kind: 'found', route: route(method, path) }
      return { kind: 'wrong_method', route: route(first, path), allow: methods }
    },
  }
}

function allowing(allow: string, method: string, route: Route): Routing {
  return method === allow ? { kind: 'found', route } : { kind: 'wrong_method', route, allow: [allow] }
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
