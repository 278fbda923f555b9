import { anthropic } from './anthropic/provider.ts'
import { openai } from './openai/provider.ts'
import type { Preset } from './preset.ts'
import type { Provider } from './provider.ts'

/** Every protocol. The one that claims all remaining requests must be the last. */
export const providers: readonly Provider[] = [anthropic, openai]

/** Every service and local server that is known by name. */
export const presets: readonly Preset[] = providers.flatMap((provider) => provider.presets)

export function findPreset(name: string): Preset | undefined {
  return presets.find((preset) => preset.name === name)
}

export function findProvider(name: string): Provider | undefined {
  return providers.find((provider) => provider.name === name)
}

/** The protocol that a request with these headers speaks, for paths that several share. */
export function findClaimant(headers: Readonly<Record<string, unknown>>): Provider | undefined {
  return providers.find((provider) => provider.claims(headers))
}
