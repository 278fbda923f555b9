import type { JsonRecord } from './figures.ts'

/**
 * What a server says of a model and its users may read: what the model can do, and how much. Servers put other things
 * beside it, such as paths on their disk, their command line, who may train on what, or what the operator pays.
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
    Object.entries(source ?? {}).filter(([name, value]) => value !== null && isFact(name)),
  )
}

function isFact(name: string): boolean {
  return names.has(name) || families.test(name)
}
