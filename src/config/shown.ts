import type { ShownSetting } from '#core/shown-setting.ts'
import { presets } from '#providers/all.ts'
import { defaultRows, type FileRow, fileRows } from './file-rows.ts'
import type { Config } from './settings.ts'
import { variableRows, variablesOf } from './variable-rows.ts'

/** Every setting with the value in force and where it came from; of a secret only whether it is set. */
export function shownSettings(config: Config): readonly ShownSetting[] {
  const variables = Object.entries(variableRows).map(([name, { value, what }]) =>
    shown(config, name, what, value),
  )
  const ofPresets = presets.flatMap((preset) =>
    variablesOf(preset)
      .filter((name) => config.given.has(name) && !(name in variableRows))
      // An address may hold a password; the upstream that came of it is among `upstreams`.
      .map((name) => shown(config, name, `Adds an upstream named \`${preset.name}\`.`, 'secret')),
  )
  return [
    ...variables,
    ...ofPresets,
    ...ofFile(config, fileRows),
    ...ofFile(config, defaultRows, 'defaults.'),
  ]
}

/** One line for each setting that does not have its default; the upstreams are too long for one. */
export function settingLines(config: Config): readonly string[] {
  return shownSettings(config).flatMap(({ name, from, value, isSet }) => {
    if (from === 'default' || name === 'upstreams') return []
    const said = isSet === undefined ? JSON.stringify(value) : 'set'
    return [`${name}: ${said} (${originWords[from]})`]
  })
}

const originWords: Readonly<Record<ShownSetting['from'], string>> = {
  default: 'default',
  environment: 'environment',
  file: 'tollgate.yaml',
  command_line: 'command line',
}

function ofFile(
  config: Config,
  rows: Readonly<Record<string, FileRow>>,
  prefix = '',
): readonly ShownSetting[] {
  return Object.entries(rows).map(([name, { value, what }]) => shown(config, prefix + name, what, value))
}

function shown(
  config: Config,
  name: string,
  what: string,
  value: 'secret' | ((config: Config) => unknown),
): ShownSetting {
  const from = config.given.get(name) ?? 'default'
  const about = { name, from, what: plainText(what) }
  if (value === 'secret') return { ...about, isSet: from !== 'default' }
  const now = value(config)
  return { ...about, ...(now !== undefined && { value: now }) }
}

/** Without links, which lead nowhere outside the documents. */
function plainText(words: string): string {
  return words.replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1')
}
