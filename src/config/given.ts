import type { SettingOrigin } from '#core/shown-setting.ts'
import { presets } from '#providers/all.ts'
import { type Environment, textOf } from './environment.ts'
import type { ConfigFile } from './file.ts'
import { variableRows, variablesOf } from './variable-rows.ts'

/** Which settings were given, and where; a secret also by the variable that names its file. */
export function givenSettings(env: Environment, file: ConfigFile): ReadonlyMap<string, SettingOrigin> {
  const known = new Set([...Object.keys(variableRows), ...presets.flatMap(variablesOf)])
  const variables = Object.keys(env)
    .filter((name) => textOf(env, name) !== undefined)
    .map((name) => (lowerCase.has(name) ? name.toUpperCase() : name))
    .flatMap((name) => [name, name.replace(/_FILE$/, '')].find((each) => known.has(each)) ?? [])
  const { defaults = {}, ...others } = file
  const keys = [...namesIn(others), ...namesIn(defaults).map((name) => `defaults.${name}`)]
  return new Map([
    ...variables.map((name) => [name, 'environment'] as const),
    ...keys.map((name) => [name, 'file'] as const),
  ])
}

/** Read in lower case as well, as other programs do. */
const lowerCase = new Set(['http_proxy', 'https_proxy', 'no_proxy'])

function namesIn(values: object): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name]))
}
