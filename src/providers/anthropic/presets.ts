import type { Preset } from '#providers/preset.ts'

/** Services that speak this protocol. */
export const presets: readonly Preset[] = [
  {
    name: 'anthropic',
    provider: 'anthropic',
    baseUrl: 'https://api.anthropic.com',
    variable: 'ANTHROPIC',
    models: ['*'],
    settings: {},
  },
]
