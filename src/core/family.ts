import { matchesGlob } from '#lib/glob.ts'

/** A group of models that share one quota. */
export interface Family {
  readonly name: string
  /** Globs over model names. */
  readonly models: readonly string[]
}

/** The four families the admin API's contract names; accepted there whatever the operator configures. */
const contractFamilies: readonly string[] = ['turbo', 'gpt4', 'gpt4-32k', 'claude']

/** Built-in families, in the order in which they are tried: the special cases stand before the general one. */
export const builtInFamilies: readonly Family[] = [
  { name: 'gpt4-32k', models: ['gpt-4-32k*'] },
  { name: 'turbo', models: ['gpt-3.5*', 'gpt-*-mini*', 'gpt-*-nano*', 'o*-mini*', 'text-embedding-*'] },
  { name: 'gpt4', models: ['gpt-*', 'o1*', 'o3*', 'o4*', 'chatgpt-*'] },
  { name: 'claude', models: ['claude-*'] },
]

/** The family of a model: the first whose globs match; undefined when none does. */
export function familyOf(model: string, families: readonly Family[]): string | undefined {
  return families.find((family) => family.models.some((glob) => matchesGlob(glob, model)))?.name
}

/** Every family name that the admin API speaks: the configured ones, then the contract's that they left out. */
export function familyNames(families: readonly Family[]): string[] {
  return [...new Set([...families.map((family) => family.name), ...contractFamilies])]
}
