/** Methods of which a request to a route that is let through may be. */
export const passedMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type PassedMethod = (typeof passedMethods)[number]

/** GET and DELETE are sent without a body, and so can name no model. */
export function hasNoBody(method: PassedMethod): boolean {
  return method === 'GET' || method === 'DELETE'
}

/** Routes that the operator lets through beside those that are known here. */
export interface PassedRoute {
  /** The protocol's name. */
  readonly provider: string
  /** Path on the gateway. A `*` stands for one of its segments; at the end for one or more. */
  readonly path: string
  /** POST where it does not say. */
  readonly methods?: readonly PassedMethod[]
  /** The name that requests count as which name no model; absent: one with a body has to name one. */
  readonly model?: string | undefined
  /** Name of the one upstream that they go to; absent: the first that is ready. */
  readonly upstream?: string | undefined
  /** What is posted may have models run that it does not name; true where it does not say. */
  readonly runsModels?: boolean
}

/** As which model a request counts that names none; without a body it names none, and the path stands for it. */
export function standInOf(
  { model, path }: Pick<PassedRoute, 'model' | 'path'>,
  method: PassedMethod,
): string | undefined {
  return model ?? (hasNoBody(method) ? path.replace(/(?:\/\*)+$/, '') : undefined)
}

/**
 * Whether a path is one of a template. Segments that a `*` takes hold no `%`, and are not `.` or `..`: an upstream might
 * read them as another path, which is not let through.
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
