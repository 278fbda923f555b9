import { anthropic } from './anthropic/provider.ts'
import { openai } from './openai/provider.ts'
import type { Provider } from './provider.ts'

/** Every protocol; the one that claims whatever is left stands last. */
export const providers: readonly Provider[] = [anthropic, openai]

export function findProvider(name: string): Provider | undefined {
  return providers.find((provider) => provider.name === name)
}

/** The protocol that a request with these headers speaks, for paths that several share. */
export function findClaimant(headers: Readonly<Record<string, unknown>>): Provider | undefined {
  return providers.find((provider) => provider.claims(headers))
}
