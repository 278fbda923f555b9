import type { JsonMembers } from '#lib/json-members.ts'
import { outputMemberNames } from './output-bounds.ts'

/**
 * Go's JSON reader, and so Ollama and many gateways, takes `Max_Tokens` for `max_tokens` and the last of them that
 * stands there. As with a member that stands twice, a body could show one value to us and another to the upstream.
 */
const guarded: ReadonlyMap<string, string> = new Map(
  [
    ...'model models stream stream_options n best_of n_cmpl num_return_sequences prompt prompt_embeds input messages background'.split(
      ' ',
    ),
    ...'thinking reasoning min_tokens min_new_tokens tools fallbacks preset plugins extra_body'.split(' '),
    ...outputMemberNames,
  ].map((name) => [fold(name), name]),
)
const exact: ReadonlySet<string> = new Set(guarded.values())

/** A member that some servers would take for one of another name that is read here. */
export function otherSpelling(
  members: JsonMembers,
): { readonly key: string; readonly name: string } | undefined {
  for (const key of members.byKey.keys()) {
    // Nearly every name: lower case throughout has no other spelling.
    if (!mayFold.test(key) || exact.has(key)) continue
    const name = guarded.get(fold(key))
    if (name !== undefined) return { key, name }
  }
  return undefined
}

const mayFold = /[^a-z0-9_]/

/** Letters as Go compares them: the long s and the Kelvin sign are an s and a k. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase()
}
