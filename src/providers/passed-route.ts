/** The methods that a passed route may have. */
export const passedMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type PassedMethod = (typeof passedMethods)[number]

/** GET and DELETE are sent without a body, and so can name no model. */
export function hasNoBody(method: PassedMethod): boolean {
  return method === 'GET' || method === 'DELETE'
}

/** A route that the operator passes through, beside the known endpoints. */
export interface PassedRoute {
  /** The protocol's name. */
  readonly provider: string
  /** Path on the gateway. A `*` stands for one segment, at the end for one or more. */
  readonly path: string
  /** Absent: POST. */
  readonly methods?: readonly PassedMethod[]
  /** The model that requests without a model count as; absent: a request with a body must name its model. */
  readonly model?: string | undefined
  /** The only upstream that requests go to; absent: the first one that is ready. */
  readonly upstream?: string | undefined
  /** A request may start models that it does not name; absent: true. */
  readonly runsModels?: boolean
}

/**
 * The model that a request without a model counts as. For a method without a body that is the path, unless a model is
 * configured.
 */
export function standInOf(
  { model, path }: Pick<PassedRoute, 'model' | 'path'>,
  method: PassedMethod,
): string | undefined {
  return model ?? (hasNoBody(method) ? path.replace(/(?:\/\*)+$/, '') : undefined)
}

/**
 * Tests whether a path matches a template. Segments that a `*` matches hold no `%`, and are not `.` or `..`: an upstream
 * might read them as another path, which is not to be passed.
 */
export function createPathTest(template: string): (path: string) => boolean {
  const one = '(?!\\.+(?:/|$))[\\w.:~@=+,-]+'
  const parts = template.split('/').slice(1)
  const pattern = parts.map((part, index) => {
    if (part !== '*') return part.replaceAll('.', '\\.')
    return index === parts.length - 1 ? `${one}(?:/${one})*` : one
  })
  const test = new RegExp(`^/${pattern.join('/')}$`)
  return (path) => test.test(path)
}
