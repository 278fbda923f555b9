import { matchesGlob, takesAnything } from '#lib/glob.ts'
import { foldName, formsOf, plainName } from './model-name.ts'

/** A group of models that share one quota. */
export interface Family {
  readonly name: string
  /** Globs over model names. */
  readonly models: readonly string[]
  /** Not shown for a user who has neither used it nor a limit for it. */
  readonly isShownOnceUsed?: boolean
}

/** The four families the admin API's contract names; accepted there whatever the operator configures. */
const contractFamilies: readonly string[] = ['turbo', 'gpt4', 'gpt4-32k', 'claude']

/**
 * Built-in families, in the order in which they are tried: special cases come before the general one. The last takes
 * every other name, so that every model of an upstream can be used. Clients of the contract do not know it, and see it
 * only where it was used or is limited.
 */
export const builtInFamilies: readonly Family[] = [
  { name: 'gpt4-32k', models: ['gpt-4-32k*'] },
  { name: 'turbo', models: ['gpt-3.5*', 'gpt-*-mini*', 'gpt-*-nano*', 'o*-mini*', 'text-embedding-*'] },
  { name: 'gpt4', models: ['gpt-*', 'o1*', 'o3*', 'o4*', 'chatgpt-*'] },
  { name: 'claude', models: ['claude-*'] },
  { name: 'other', models: ['*'], isShownOnceUsed: true },
]

/** The family that takes a name. */
interface Taken {
  readonly family: string
  /** Only a glob that takes every name matches: the model is not known. */
  readonly byCatchAll: boolean
}

/** The family of a model: the first of which a glob matches one of the name's forms; undefined when none does. */
export function familyOf(model: string, families: readonly Family[]): string | undefined {
  return takerOf(model, families)?.family
}

/** Whether only a glob that takes every name takes this one. */
export function isCaughtAll(model: string, families: readonly Family[]): boolean {
  return takerOf(model, families)?.byCatchAll === true
}

/** Every family name of the admin API: the configured ones, then those of the contract that are missing there. */
export function familyNames(families: readonly Family[]): string[] {
  return [...new Set([...families.map((family) => family.name), ...contractFamilies])]
}

type Finder = (model: string) => Taken | undefined

// Compiling the globs costs more than matching a name, and matching more than a look-up, so both are cached.
const finders = new WeakMap<readonly Family[], Finder>()
const rememberedMax = 2048
const rememberedLengthMax = 128

function takerOf(model: string, families: readonly Family[]): Taken | undefined {
  const known = finders.get(families)
  if (known) return known(model)
  const made = createFinder(families)
  finders.set(families, made)
  return made(model)
}

function createFinder(families: readonly Family[]): Finder {
  const compiled = families.map(({ name, models }) => ({
    name,
    globs: models.map((glob) => (glob.includes('*') ? foldName(glob) : plainName(glob))),
  }))
  const remembered = new Map<string, Taken | undefined>()

  function find(model: string): Taken | undefined {
    const forms = formsOf(model)
    for (const { name, globs } of compiled) {
      const taking = globs.filter((glob) => forms.some((form) => matchesGlob(glob, form)))
      if (taking.length > 0) return { family: name, byCatchAll: taking.every(takesAnything) }
    }
    return undefined
  }

  return (model) => {
    if (model.length > rememberedLengthMax) return find(model)
    const known = remembered.get(model)
    if (known || remembered.has(model)) return known
    // Clients may send any name, so the cache is bounded; a name that is asked for often is soon cached again.
    if (remembered.size >= rememberedMax) remembered.clear()
    const taken = find(model)
    remembered.set(model, taken)
    return taken
  }
}
