import type { JsonMembers } from '#lib/json-members.ts'
import { outputMemberNames } from './output-bounds.ts'

/**
 * Go's JSON reader, and so Ollama and many gateways, takes `Max_Tokens` for `max_tokens`, and the last of several. As
 * with a member that is given twice, a body could show one value to the gateway and another to the upstream.
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

/** A member that some servers would take for a differently spelled one that is read here. */
export function otherSpelling(
  members: JsonMembers,
): { readonly key: string; readonly name: string } | undefined {
  for (const key of members.byKey.keys()) {
    // Nearly every name ends here: one in lower case has no other spelling.
    if (!mayFold.test(key) || exact.has(key)) continue
    const name = guarded.get(fold(key))
    if (name !== undefined) return { key, name }
  }
  return undefined
}

const mayFold = /[^a-z0-9_]/

/** Folds letters as Go compares them: the long s equals s, and the Kelvin sign equals k. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase()
}
