import type { ModelRequest } from './model-request.ts'
import { noOutput } from './model-request.ts'
import { hasNoBody, type PassedMethod } from './passed-route.ts'
import type { Endpoint } from './provider.ts'

export interface WithoutModel {
  readonly method: PassedMethod
  /** The model that a request without a model counts as; absent: each request must name one. */
  readonly model: string | undefined
  /** Such a request may start models that it does not name (a batch). */
  readonly runsModels: boolean
}

/**
 * An operation whose requests may name no model. Such a request counts as one, and is admitted under the name that stands
 * for the route. Usage in its answer is charged if models ran. Usage in answers to GET and DELETE describes work that was
 * charged when it ran, and is not charged again.
 */
export function withoutModel(endpoint: Endpoint, { method, model, runsModels }: WithoutModel): Endpoint {
  const isBare = hasNoBody(method)
  const shared: Endpoint = { ...endpoint, method, ...(isBare && { hasNoBody: true }) }
  if (model === undefined) return shared
  const standIn: ModelRequest = {
    ...noOutput,
    model,
    isStandIn: true,
    // Refused to users whose list of models or limits an unseen model could evade.
    ...(runsModels && !isBare && { elsewhere: { names: [], isOpen: true } }),
  }
  const byRequest: Endpoint = { ...shared, isByRequest: true, standIn }
  return isBare
    ? withoutFigures(byRequest)
    : { ...shared, formFields: ['model', 'stream'], withoutModel: byRequest }
}

function withoutFigures(endpoint: Endpoint): Endpoint {
  return {
    ...endpoint,
    readAnswer: (body, bytes) => ({
      ...endpoint.readAnswer(body, bytes),
      usage: undefined,
      extras: undefined,
    }),
    openStream: (options) => ({
      ...endpoint.openStream(options),
      usage: () => undefined,
      extras: () => undefined,
    }),
  }
}
