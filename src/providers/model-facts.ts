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
  'context_length',
  'context_window',
  'deprecation',
  'features',
  'input_modalities',
  'knowledge_cutoff',
  'limits',
  'loaded_context_length',
  'meta',
  'modalities',
  'output_modalities',
  'per_request_limits',
  'quantization',
  'reasoning',
  'reasoning_efforts',
  'top_provider',
])

const starts = ['max_', 'supported_', 'supports_', 'default_', 'context_']

export function modelFacts(source: JsonRecord | undefined): JsonRecord {
  return Object.fromEntries(
    Object.entries(source ?? {}).filter(([name, value]) => value !== null && isFact(name)),
  )
}

function isFact(name: string): boolean {
  return names.has(name) || starts.some((start) => name.startsWith(start))
}
