import type { Preset } from '#providers/preset.ts'

export const presets: readonly Preset[] = [
  {
    name: 'third',
    provider: 'third',
    baseUrl: 'https://third.example/v1beta',
    variable: 'THIRD',
    models: ['*'],
    settings: {},
  },
]
