import { hasNoBody, type PassedMethod } from './passed-route.ts'
import type { Endpoint, ModelRequest } from './provider.ts'
import { noOutput } from './provider.ts'

export interface WithoutModel {
  readonly method: PassedMethod
  /** The name that a request counts as which names none itself; absent: each has to name one. */
  readonly model: string | undefined
  /** What such a request sends may have models run that it does not name (a batch). */
  readonly runsModels: boolean
}

/**
 * An operation as its requests are read that may name no model. Such a request counts as one, under the name that stands
 * for the route, by which it is admitted. What its answer says was used is charged where something ran; what GET and
 * DELETE answer speaks of work that was charged when it ran, and is not charged again.
 */
export function withoutModel(endpoint: Endpoint, { method, model, runsModels }: WithoutModel): Endpoint {
  const isBare = hasNoBody(method)
  const shared: Endpoint = { ...endpoint, method, ...(isBare && { hasNoBody: true }) }
  if (model === undefined) return shared
  const standIn: ModelRequest = {
    ...noOutput,
    model,
    isStandIn: true,
    // Refused to those whom a model that is not seen could lead past a list or a limit.
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
