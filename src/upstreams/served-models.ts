import { foldName, formsOf, matchesName, plainName } from '#core/model-name.ts'
import { matchesGlob, spelledOut, takesAnything } from '#lib/glob.ts'
import type { ListedModel } from '#providers/provider.ts'
import type { UpstreamConfig } from './config.ts'

/** The models that an upstream serves, and their names there. */
export interface ServedModels {
  /** Whether it serves a model of this name; letter case is ignored. */
  readonly serves: (model: string) => boolean
  /** Whether only a glob that takes every name matches this one. */
  readonly servesByCatchAll: (model: string) => boolean
  /** The name that the upstream itself has for it. */
  readonly upstreamNameOf: (model: string) => string
  /**
   * Whether the operator or the upstream itself names this model. Otherwise only a glob matches, and the upstream may
   * answer the name with any of its models.
   */
  readonly names: (model: string, own: readonly ListedModel[]) => boolean
  /** The upstream's own list, under the names that are served here. */
  readonly offered: (own: readonly ListedModel[] | undefined) => readonly ListedModel[]
}

export function createServedModels({ models, aliases }: UpstreamConfig): ServedModels {
  const ownNames = spelledOut(models)
  const targets = new Map(Object.entries(aliases ?? {}).map(([alias, name]) => [foldName(alias), name]))
  const globs = models.map(foldName)
  const narrower = globs.filter((glob) => !takesAnything(glob))
  const isTaken = (model: string, by: readonly string[]) => {
    const name = foldName(model)
    return by.some((glob) => matchesGlob(glob, name))
  }
  const serves = (model: string) => isTaken(model, globs)

  function named(alias: string, target: string, own: readonly ListedModel[]): ListedModel {
    const source = own.find(({ id }) => plainName(id) === plainName(target))?.source
    return source ? { id: alias, source: { ...source, id: alias } } : { id: alias }
  }

  return {
    serves,
    servesByCatchAll: (model) => serves(model) && !isTaken(model, narrower),
    upstreamNameOf: (model) => (targets.size === 0 ? model : (targets.get(foldName(model)) ?? model)),
    names(model, own) {
      if (ownNames.some((name) => matchesName(name, model))) return true
      const forms = formsOf(model)
      return own.some(({ id }) => forms.includes(plainName(id)))
    },
    offered(own) {
      if (!own) return ownNames.map((id) => ({ id }))
      if (aliases) return Object.entries(aliases).map(([alias, target]) => named(alias, target, own))
      return own.filter(({ id }) => serves(id))
    },
  }
}
