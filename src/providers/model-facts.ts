import type { JsonRecord } from './figures.ts'
import { withoutOperatorNames } from './operator-refusal.ts'

/**
 * The members about a model that users may read: its abilities and its limits. Servers state other things beside them,
 * such as paths on their disk, their command line, training policies, or the operator's prices.
 */
const names: ReadonlySet<string> = new Set([
  'name',
  'description',
  'type',
  'active',
  'architecture',
  'capabilities',
  'default_model_temperature',
  'default_parameters',
  'deprecation',
  'features',
  'input_modalities',
  'input_token_limit',
  'inputTokenLimit',
  'knowledge_cutoff',
  'limits',
  'loaded_context_length',
  'meta',
  'modalities',
  'n_ctx',
  'output_modalities',
  'output_token_limit',
  'outputTokenLimit',
  'per_request_limits',
  'quantization',
  'reasoning',
  'reasoning_efforts',
  'tags',
  'top_provider',
])

/** `max_model_len`, `context_window`, `supported_parameters`, `supportsTools` and the like. */
const families = /^(max|context|supported|supports)[_A-Z]/

export function modelFacts(source: JsonRecord | undefined): JsonRecord {
  return Object.fromEntries(
    Object.entries(source ?? {})
      .filter(([name, value]) => value !== null && isFact(name))
      .map(([name, value]) => [name, shown(value, depthMax)] as const)
      .filter(([, value]) => value !== undefined),
  )
}

/** The owner of a model, if it is its maker's name and not an operator's account. */
export function ownerOf(source: JsonRecord | undefined): string {
  const owner = source?.owned_by
  return typeof owner === 'string' && withoutOperatorNames(owner) === owner ? owner : 'system'
}

/** Values nested deeper are left out. */
const depthMax = 6
const placeNames = /path|file|dir|folder|cmd|command|args|argv|url|host/i
/** A path on the server's disk. */
const place = /^(?:\/|~\/|[A-Za-z]:[\\/]|file:)/

/** A value without paths on the server and without the operator's names; undefined if nothing is left. */
function shown(value: unknown, depth: number): unknown {
  if (depth === 0) return undefined
  if (typeof value === 'string') return place.test(value) ? undefined : withoutOperatorNames(value)
  if (Array.isArray(value)) return value.map((each) => shown(each, depth - 1)).filter(isThere)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !placeNames.test(name))
      .map(([name, each]) => [name, shown(each, depth - 1)] as const)
      .filter(([, each]) => isThere(each)),
  )
}

const isThere = (value: unknown) => value !== undefined

function isFact(name: string): boolean {
  return names.has(name) || families.test(name)
}
