import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { foldName } from '#core/model-name.ts'
import { findPreset, presets, providers } from '#providers/all.ts'
import { credentialHeadersOf } from '#providers/credential-headers.ts'
import type { Preset } from '#providers/preset.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { type Environment, secretOf, textOf } from './environment.ts'
import type { ConfigFile } from './file.ts'
import { proxiesOf } from './proxies.ts'
import { ConfigError } from './settings.ts'

type Listed = NonNullable<ConfigFile['upstreams']>[number]

/** The upstreams of the file, and those of the environment for each protocol that the file does not list. */
export function allUpstreams(file: ConfigFile, env: Environment): readonly UpstreamConfig[] {
  const listed = upstreamsOf(file, env)
  const isListed = (preset: Preset) => listed.some(({ provider }) => provider === preset.provider)
  const others = presets.flatMap((preset) => (isListed(preset) ? [] : describedBy(preset, env)))
  const made = others.map((one) => upstreamOf(one, others))
  const takesAll = ({ models }: UpstreamConfig) => models.includes('*')
  // Upstreams for any model come last.
  const ordered = [...made.filter((one) => !takesAll(one)), ...made.filter(takesAll)]
  const all = [...listed, ...ordered]
  for (const one of all) {
    const fault = faultOf(one)
    if (fault !== undefined) throw new ConfigError(`upstream ${one.name}`, fault)
  }
  return all.map(proxiesOf(env))
}

/**
 * Finds settings that are valid alone and would fail, or change, every request; undefined where the upstream is right.
 */
function faultOf(one: UpstreamConfig): string | undefined {
  const { baseUrl, apiKey, headers = {}, aliases = {} } = one
  const { username, hash } = new URL(baseUrl)
  const own = Object.keys(headers).find((name) => isCredentialHeader(name, one))
  if (apiKey !== undefined && !isHeaderValue(apiKey))
    return 'has an apiKey with characters that a header cannot hold, such as a line break'
  if (apiKey !== undefined && username !== '' && isCredentialHeader('authorization', one))
    return 'has an apiKey and a user in its baseUrl, and both use the authorization header: leave one out'
  if (apiKey !== undefined && own !== undefined)
    return `has an apiKey and headers.${own}, and both are the same header: leave one out`
  if (hash !== '')
    return 'has a # in its baseUrl, and the text after it would never be sent: encode it as %23'
  const names = Object.keys(aliases).map(foldName)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  return twice === undefined
    ? undefined
    : `has ${twice} twice in models, where names are the same in any case`
}

/** Whether the apiKey is sent in that header. */
function isCredentialHeader(header: string, { provider: name, apiKeyHeader }: UpstreamConfig): boolean {
  const provider = providers.find((each) => each.name === name)
  return provider !== undefined && header.toLowerCase() in credentialHeadersOf(provider, '', apiKeyHeader)
}

const isHeaderValue = (value: string) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value)

function upstreamsOf(file: ConfigFile, env: Environment): readonly UpstreamConfig[] {
  const seen = new Set<string>()
  return (file.upstreams ?? []).map((listed, index) => {
    const at = `upstreams[${index}]`
    const { name = listed.preset } = listed
    if (name === undefined) throw new ConfigError(`${at}.name`, 'is required, or preset')
    if (seen.has(name))
      throw new ConfigError(`${at}.name`, `${name} is used twice: give each upstream a name of its own`)
    seen.add(name)
    return toUpstream(name, listed, env, at)
  })
}

function toUpstream(name: string, listed: Listed, env: Environment, at: string): UpstreamConfig {
  const { preset: presetName, provider, baseUrl, models = ['*'], apiKey, headers, caFile, ...rest } = listed
  const preset = presetName === undefined ? undefined : knownPreset(presetName, at)
  const ca = caFile === undefined ? undefined : readAuthorities(caFile, `${at}.caFile`)
  const proxy = rest.proxy === undefined ? undefined : resolveSecret(rest.proxy, env, `${at}.proxy`)
  if (proxy !== undefined && proxy !== 'none' && !isHttpUrl(proxy))
    throw new ConfigError(`${at}.proxy`, 'must be a URL that begins with http:// or https://, or none')
  const secret = apiKey === undefined ? keyOf(preset, env) : resolveSecret(apiKey, env, `${at}.apiKey`)
  return {
    ...preset?.settings,
    ...definedMembers(rest),
    name,
    provider: knownProvider(provider ?? preset?.provider, at),
    baseUrl: addressOf(baseUrl, preset, env, at),
    ...namesOf(models),
    ...(secret !== undefined && { apiKey: secret }),
    ...(headers !== undefined && { headers: resolveHeaders(headers, env, `${at}.headers`) }),
    ...(ca !== undefined && { ca }),
    ...(proxy !== undefined && { proxy }),
  }
}

function knownPreset(name: string, at: string): Preset {
  const preset = findPreset(name)
  if (preset) return preset
  const names = presets.map((each) => each.name).join(', ')
  throw new ConfigError(`${at}.preset`, `${JSON.stringify(name)} must be one of ${names}`)
}

function knownProvider(name: string | undefined, at: string): string {
  if (name !== undefined && providers.some((provider) => provider.name === name)) return name
  const names = providers.map((provider) => provider.name).join(', ')
  throw new ConfigError(
    `${at}.provider`,
    name === undefined
      ? `is required: one of ${names}, or preset`
      : `${JSON.stringify(name)} must be one of ${names}`,
  )
}

function addressOf(
  said: string | undefined,
  preset: Preset | undefined,
  env: Environment,
  at: string,
): string {
  const address = said ?? (preset && textOf(env, `${preset.variable}_BASE_URL`)) ?? preset?.baseUrl
  if (address === undefined) throw new ConfigError(`${at}.baseUrl`, 'is required: each account has its own')
  if (!isHttpUrl(address)) throw new ConfigError(`${at}.baseUrl`, wrongAddress)
  return address
}

const wrongAddress = 'must be a URL that begins with http:// or https://'

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** A preset's key is in the environment, unless the file names another place. */
function keyOf(preset: Preset | undefined, env: Environment): string | undefined {
  return preset && secretOf(env, `${preset.variable}_API_KEY`)
}

/** A list holds the upstream's own names; a map goes from a name for clients to the upstream's name. */
function namesOf(models: NonNullable<Listed['models']>): Pick<UpstreamConfig, 'models' | 'aliases'> {
  if (Array.isArray(models)) return { models }
  return { models: Object.keys(models), aliases: models }
}

function readAuthorities(path: string, at: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
    createSecureContext({ ca: text })
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new ConfigError(at, `cannot be read: ${path} (${reason})`)
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw new ConfigError(at, `does not hold a certificate in PEM form: ${path}`)
}

function definedMembers<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const kept = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(kept) as { [Key in keyof T]: Exclude<T[Key], undefined> }
}

/** A value that begins with `$` names a variable of the environment, so that the file itself holds no secret. */
function resolveSecret(value: string, env: Environment, at: string): string {
  if (!value.startsWith('$')) return value
  return variableOf(value.slice(1).replace(/^\{(.*)\}$/, '$1'), env, at)
}

function variableOf(variable: string, env: Environment, at: string): string {
  const secret = secretOf(env, variable)
  if (secret === undefined)
    throw new ConfigError(at, `names ${variable}, which is not set in the environment`)
  return secret
}

/** In a header a variable may also be a part of the text: `Bearer ${NAME}`. */
function resolveHeaders(
  headers: Readonly<Record<string, string>>,
  env: Environment,
  at: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, text]) => {
      const place = `${at}.${name}`
      const value = resolveSecret(text, env, place).replace(/\$\{(\w+)\}/g, (_, variable: string) =>
        variableOf(variable, env, place),
      )
      // The value may be a secret, so the message does not repeat it.
      if (!isHeaderValue(value)) throw new ConfigError(place, 'has characters that a header cannot hold')
      return [name, value]
    }),
  )
}

/** In sentences: variables of presets that are set, and that no upstream comes of. */
export function unusedVariables(file: ConfigFile, env: Environment): readonly string[] {
  const listed = file.upstreams ?? []
  const protocolOf = ({ provider, preset }: Listed) => provider ?? findPreset(preset ?? '')?.provider
  const named = JSON.stringify(listed)
  return presets.flatMap((preset) => {
    const { name, variable, provider, baseUrl = '' } = preset
    const isSet = (suffix: string) => textOf(env, `${variable}_${suffix}`) !== undefined
    const key = ['API_KEY', 'API_KEY_FILE'].find(isSet)
    const set = key ?? ['BASE_URL'].find(isSet)
    if (set === undefined) return []
    const said = `${variable}_${set} is set, and no upstream comes of it`
    if (listed.some((one) => protocolOf(one) === provider)) {
      const isUsed = listed.some((one) => one.preset === name) || namesVariable(named, `${variable}_API_KEY`)
      return isUsed
        ? []
        : [`${said}, since tollgate.yaml lists those of ${provider}: list preset: ${name} there`]
    }
    const isAdded = describedBy(preset, env).length > 0
    return isAdded ? [] : [`${said}: set ${variable}_BASE_URL as well, such as ${baseUrl}`]
  })
}

function namesVariable(text: string, variable: string): boolean {
  return new RegExp(`\\$\\{?${variable}\\b`).test(text)
}

interface Described {
  readonly preset: Preset
  readonly apiKey: string | undefined
  readonly baseUrl: string | undefined
}

/** The upstreams of `OPENAI_API_KEY`, `OLLAMA_BASE_URL` and the like. */
function describedBy(preset: Preset, env: Environment): readonly Described[] {
  const { variable, isLocal, hostedUrl } = preset
  const apiKey = secretOf(env, `${variable}_API_KEY`)
  const baseUrl = textOf(env, `${variable}_BASE_URL`) ?? (apiKey === undefined ? undefined : hostedUrl)
  if (apiKey === undefined && baseUrl === undefined) return []
  if (isLocal && baseUrl === undefined) return []
  if (baseUrl !== undefined && !isHttpUrl(baseUrl)) {
    throw new ConfigError(
      `${variable}_BASE_URL`,
      // An address may hold a password, so the message does not repeat it.
      `${baseUrl.includes('@') ? 'this' : JSON.stringify(baseUrl)} must be a URL that begins with http:// or https://`,
    )
  }
  if (baseUrl === undefined && preset.baseUrl === undefined)
    throw new ConfigError(
      `${variable}_BASE_URL`,
      `goes with ${variable}_API_KEY: each account has its own address`,
    )
  return [{ preset, apiKey, baseUrl }]
}

/**
 * A single upstream serves every model. Where several speak one protocol, each serves the models of its maker, so that
 * not every name goes to the first of them. All other names go to a server of the operator's own, or else to the
 * service that the protocol comes from.
 */
function upstreamOf(one: Described, all: readonly Described[]): UpstreamConfig {
  const { preset, apiKey, baseUrl } = one
  const others = all.filter((each) => each !== one && each.preset.provider === preset.provider)
  const takesRest =
    mayBeAnything(one) || (preset.name === preset.provider && !others.some((other) => mayBeAnything(other)))
  return {
    ...preset.settings,
    name: preset.name,
    provider: preset.provider,
    baseUrl: baseUrl ?? preset.baseUrl ?? '',
    models: others.length === 0 || takesRest ? ['*'] : preset.models,
    ...(apiKey !== undefined && { apiKey }),
  }
}

function mayBeAnything({ preset, baseUrl }: Described): boolean {
  return preset.models.includes('*') || (preset.name === preset.provider && baseUrl !== undefined)
}
