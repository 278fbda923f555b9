import { matchesGlob } from '#lib/glob.ts'

/**
 * Names of models, and which of them may be the same model. A family takes a name in each of its forms, so that no
 * other spelling evades a limit. A permission matches the whole name, so that it never allows more than it says. Both
 * ignore letter case.
 */

/** A name or glob without its case; also the letters that fold to an ASCII one (U+017F, U+212A) as Go folds them. */
export function foldName(name: string): string {
  const trimmed = name.trim()
  return isAscii.test(trimmed) ? trimmed.toLowerCase() : trimmed.toUpperCase().toLowerCase()
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII begins with them.
const isAscii = /^[\x00-\x7f]*$/

/** Whether a glob matches the whole name; letter case is ignored. */
export function matchesName(glob: string, name: string): boolean {
  return matchesGlob(foldName(glob), foldName(name))
}

/**
 * The name in one spelling: in lower case, and without the parts that Ollama (`library/`, `:latest`) and Google
 * (`models/`) add by default.
 */
export function plainName(name: string): string {
  return foldName(name)
    .replace(/^(?:library|models)\/(?=.)/, '')
    .replace(/(?<=.):latest$/, '')
}

/** Fine-tuned (`ft:base:organisation::id`), also after a provider's prefix. */
const fineTuned = /(^|\/)ft:([^:/]+)(?::[^/]*)?$/
/** A tag, variant or revision at the end of the name: `:8b`, `:free`, `@20241022`. */
const variant = /(?<=[^/])[:@][^/]*$/
/**
 * A date, or a number that stands for one, at the end of the name, as providers write them: `-2024-07-18`, `-20241022`,
 * `-0613`.
 */
const dated = /-(?:latest|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4}|\d{2}-\d{4}|\d{2}-\d{2}|\d{8}|\d{6}|\d{3,4})$/
/** The provider's name before the model's: `openai/gpt-4o`, `accounts/fireworks/models/llama`. */
const path = /^.*\/(?=.)/
/** Region and vendor as Bedrock writes them: `us.anthropic.claude-…`. */
const labels = /^(?:[a-z-]+\.)+(?=.)/

const lengthMax = 512

const reductions: readonly RegExp[] = [variant, dated, path, labels]

/**
 * A name in each of its forms, the whole name first and the barest last: without case, fine-tuning, variant, date,
 * provider. Each form of a form is among them.
 */
export function formsOf(name: string): readonly string[] {
  const forms = new Set([foldName(name)])
  // No model has such a long name, and each step reads all of it.
  if (name.length > lengthMax) return [...forms]
  let form = foldName(name)
  const take = (reduced: string) => {
    // A server that takes a provider's name off may trim what is left.
    const next = reduced.trim()
    if (next === '' || next === form) return false
    form = next
    forms.add(form)
    return true
  }
  while (take(plainName(form)));
  take(form.replace(fineTuned, '$1$2'))
  for (const reduction of reductions) while (take(form.replace(reduction, '')));
  return [...forms]
}
