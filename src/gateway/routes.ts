import { pathOf } from '#http/visit.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import { createModelPath, type ModelPath } from '#providers/model-path.ts'
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
      /** The model that the path names. */
      readonly model?: string
    }
  /** `provider`: the only one whose list this path is; absent if several share it. */
  | { readonly kind: 'models'; readonly template: string; readonly provider?: Provider }
  | { readonly kind: 'model'; readonly template: string; readonly provider?: Provider; readonly id: string }

export type Routing =
  | { readonly kind: 'found'; readonly route: Route }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'wrong_method'; readonly route: Route; readonly allow: readonly string[] }

/** The routes of all providers' operations and lists of models. */
export function createRouter(
  providers: readonly Provider[],
  passed: readonly PassedRoute[] = [],
): (method: string, url: string) => Routing {
  const own = providers.flatMap((provider) =>
    provider.endpoints.map((endpoint) => createRelayRoute(provider, endpoint)),
  )
  const relays = new Map<string, RelayRoute>()
  const naming: { readonly route: RelayRoute; readonly modelIn: ModelPath }[] = []
  for (const route of own) {
    const modelIn = createModelPath(route.template)
    if (modelIn) naming.push({ route, modelIn })
    else relays.set(route.template, route)
  }
  const modelRoute = createModelRoutes(providers)
  const others = passed.map((route) => createPassed(route, providers))
  // Exact paths go before those with a *.
  others.sort((one, other) => Number(one.template.includes('*')) - Number(other.template.includes('*')))
  return (method, url) => {
    const path = pathOf(url)
    const relay = relays.get(path)
    if (relay) return allowing(relay.endpoint.method ?? 'POST', method, relay)
    for (const { route, modelIn } of naming) {
      const model = modelIn(path)
      if (model !== undefined) return allowing(route.endpoint.method ?? 'POST', method, { ...route, model })
    }
    const other = others.find(({ takes }) => takes(path))
    if (other) return other.routing(method, path)
    const route = modelRoute(path)
    return route ? allowing('GET', method, route) : { kind: 'not_found' }
  }
}

type RelayRoute = Extract<Route, { readonly kind: 'relay' }>

function createRelayRoute(provider: Provider, endpoint: Endpoint): RelayRoute {
  return { kind: 'relay', template: endpoint.path, provider, endpoint }
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

/** Protocols may share the path of their lists; the headers of a request then tell whose it is. */
function createModelRoutes(providers: readonly Provider[]): (path: string) => Route | undefined {
  const sharing = Map.groupBy(providers, ({ modelsPath }) => modelsPath)
  const lists = [...sharing].map(([path, [provider, ...others]]) => ({
    path,
    prefix: `${path}/`,
    ...(provider && others.length === 0 && { provider }),
  }))
  return (path) => {
    for (const { path: listPath, prefix, ...owner } of lists) {
      if (path === listPath) return { kind: 'models', template: listPath, ...owner }
      if (!path.startsWith(prefix) || path.length === prefix.length) continue
      // Names of models may hold a slash, and clients may or may not encode it.
      const id = percentDecoded(path.slice(prefix.length))
      if (id !== undefined) return { kind: 'model', template: `${prefix}{id}`, ...owner, id }
    }
    return undefined
  }
}
