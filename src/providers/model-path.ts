import { percentDecoded } from '#lib/percent-decoded.ts'

/**
 * Paths that name the model, such as `/v1beta/models/{model}:generate`. The model takes the place of `{model}`, in one
 * segment of the path, encoded.
 */
const place = '{model}'

export function namesModel(template: string): boolean {
  return template.includes(place)
}

/** The path for this model; a path without a place stays as it is. */
export function withModel(template: string, model: string): string {
  return template.replace(place, () => encodeURIComponent(model))
}

/** Reads the model in a path: undefined if the path is another one. */
export type ModelPath = (path: string) => string | undefined

/** Undefined if the template names no model. */
export function createModelPath(template: string): ModelPath | undefined {
  const at = template.indexOf(place)
  if (at < 0) return undefined
  const [before, after] = [template.slice(0, at), template.slice(at + place.length)]
  return (path) => {
    if (!path.startsWith(before) || !path.endsWith(after)) return undefined
    const segment = path.slice(before.length, path.length - after.length)
    if (segment === '' || segment.includes('/')) return undefined
    const model = percentDecoded(segment)
    // An upstream would read such a segment as a step to another path.
    return model === '.' || model === '..' ? undefined : model
  }
}
