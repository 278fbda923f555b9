import type { Environment } from '#config/environment.ts'
import { readConfig, upstreamVariables } from '#config/read.ts'
import type { Config } from '#config/settings.ts'
import { settingLines } from '#config/shown.ts'
import { withoutSecrets } from '#config/without-secrets.ts'
import { systemClock } from '#core/clock.ts'
import { familyOf } from '#core/family.ts'
import { plainName } from '#core/model-name.ts'
import { presets, providers } from '#providers/all.ts'
import { privateHeadersOf } from '#providers/gathered.ts'
import type { ListedModel } from '#providers/provider.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { createNeverPassed } from '#upstreams/header-lists.ts'
import { publicHostsOf } from '#upstreams/own-words.ts'
import { type Probe, probeModels } from '#upstreams/probe.ts'
import { openUpstream } from '#upstreams/upstream.ts'
import { inLine, print } from './terminal.ts'

/**
 * `tollgate check`: says what is set, asks each upstream for its models, which costs nothing, and says what works, what
 * does not and what to do. 0 where all of them work as configured, else 1.
 */
export async function check(env: Environment): Promise<number> {
  const config = readConfig(env)
  for (const note of config.notes) print(note)
  for (const line of settingLines(config)) print(inLine(line))
  if (config.upstreams.length === 0) {
    print(
      `No upstream is configured: set ${upstreamVariables()}, or list it under upstreams in tollgate.yaml.`,
    )
    return 1
  }
  const found = await Promise.all(config.upstreams.map((upstream) => checkOne(upstream, config)))
  for (const { lines } of found) print(lines.map(inLine).join('\n  '))
  const broken = found.filter(({ works }) => !works).length
  print(broken === 0 ? 'All of them work.' : `${broken} of ${found.length} do not work as configured.`)
  return broken === 0 ? 0 : 1
}

const timeoutMs = 15_000

interface Found {
  readonly works: boolean
  readonly lines: readonly string[]
}

async function checkOne(config: UpstreamConfig, { policy }: Config): Promise<Found> {
  const provider = providers.find(({ name }) => name === config.provider)
  if (!provider) throw new TypeError(`there is no provider ${config.provider}`)
  const isNeverPassed = createNeverPassed(privateHeadersOf(providers))
  const publicHosts = publicHostsOf(providers)
  const upstream = openUpstream(config, provider, { clock: systemClock, isNeverPassed, publicHosts })
  try {
    const probe = await probeModels(upstream, timeoutMs)
    const head = `${config.name} (${withoutSecrets(config.baseUrl)})`
    if (probe.kind !== 'listed') return { works: false, lines: [head, ...whyNot(probe, config)] }
    const offered = upstream.offered(probe.models).map(({ id }) => id)
    const served = offered.filter((id) => familyOf(id, policy.families) !== undefined)
    const wrong = [
      ...missingNames(config, probe.models).map(
        (name) => `does not list ${name}: requests for it may fail; correct models`,
      ),
      ...(offered.length === 0 ? ['models matches none of them; correct models'] : []),
    ]
    const lines = [
      `${wrong.length === 0 ? 'works' : 'answers'}: ${count(probe.models.length)} there, ${servedWords(served)}`,
      ...wrong,
      ...homeless(offered.filter((id) => !served.includes(id))),
    ]
    return { works: wrong.length === 0, lines: [head, ...lines] }
  } finally {
    await upstream.close()
  }
}

const shownMax = 5

function servedWords(served: readonly string[]): string {
  if (served.length === 0) return 'none served here'
  const more = served.length > shownMax ? ' …' : ''
  return `${served.length} served here: ${served.slice(0, shownMax).join(', ')}${more}`
}

/** Names that the configuration spells out, in the upstream's own form, and that the upstream does not list. */
function missingNames({ models, aliases }: UpstreamConfig, own: readonly ListedModel[]): readonly string[] {
  const wanted = aliases ? Object.values(aliases) : models.filter((glob) => !glob.includes('*'))
  const listed = new Set(own.map(({ id }) => plainName(id)))
  const lists = (name: string) => listed.has(plainName(name))
  return own.length === 0 ? [] : wanted.filter((name) => !lists(name))
}

function homeless(without: readonly string[]): readonly string[] {
  const [first] = without
  if (first === undefined) return []
  const more = without.length > 1 ? ' …' : ''
  return [`${count(without.length)} of no family, so not served: ${first}${more}; add a family for them`]
}

/** What is wrong, and what to do about it. */
function whyNot(probe: Exclude<Probe, { kind: 'listed' }>, config: UpstreamConfig): readonly string[] {
  if (probe.kind === 'answered') {
    if (probe.status >= 300 && probe.status < 400) return whyRedirected(probe, config)
    return [`does not work: it answered ${probe.status}`, advise(probe.status, config)]
  }
  const { code, text } = reasonOf(probe.cause)
  return [`does not work: ${text}`, ...adviceFor(code, text, config)]
}

/** It is not followed: it would take the credential and the prompts to wherever it leads. */
function whyRedirected(
  { status, location }: Extract<Probe, { kind: 'answered' }>,
  { baseUrl }: UpstreamConfig,
): readonly string[] {
  const to = targetOf(location, baseUrl)
  return [
    `does not work: it answered ${status}, a redirect${to === undefined ? '' : ` to ${to}`}`,
    'redirects are not followed, and baseUrl is not the address of the API: look at its scheme, host and path',
  ]
}

/** Where a redirect leads, without what may be a secret in it. */
function targetOf(location: string | undefined, baseUrl: string): string | undefined {
  if (location === undefined || !URL.canParse(location, baseUrl)) return undefined
  const url = new URL(location, baseUrl)
  return /^https?:$/.test(url.protocol) ? withoutSecrets(url.href) : undefined
}

function advise(status: number, { name, apiKey, baseUrl }: UpstreamConfig): string {
  const variable = presets.find((preset) => preset.name === name)?.variable
  if (status === 401 || status === 403)
    return apiKey === undefined
      ? `give it a credential: apiKey in tollgate.yaml${variable === undefined ? '' : `, or ${variable}_API_KEY`}`
      : 'its credential is refused: check apiKey and apiKeyHeader'
  if (status === 404)
    return /\/v\d[^/]*(?:\/|$)/.test(new URL(baseUrl).pathname)
      ? 'there is no list of models at this address: check baseUrl'
      : 'there is no list of models at this address: should baseUrl end in /v1?'
  if (status === 429) return 'it is rate limited, or the account is used up'
  return 'read its own log'
}

function adviceFor(code: string, text: string, { proxy, baseUrl }: UpstreamConfig): readonly string[] {
  if (proxy !== undefined && (/proxy/i.test(text) || /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(code)))
    return ['check its proxy (proxy, HTTPS_PROXY, HTTP_PROXY), or set proxy: none']
  if (/CERT|SELF_SIGNED|ISSUER/.test(code)) return ['set caFile to the certificate of its authority']
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return ['it does not speak TLS there: should baseUrl begin with http://?']
  if (code === 'ECONNREFUSED') return [`nothing listens there: start it, or correct the port in baseUrl`]
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return [`there is no host ${new URL(baseUrl).hostname}: check baseUrl`]
  return ['check baseUrl, and whether this machine reaches it']
}

function reasonOf(cause: unknown): { readonly code: string; readonly text: string } {
  if (!(cause instanceof Error)) return { code: '', text: String(cause) }
  const inner = cause instanceof AggregateError ? cause.errors[0] : undefined
  const error = inner instanceof Error ? inner : cause
  const code = 'code' in error ? String(error.code) : ''
  // OpenSSL's own message names lines of its sources.
  const isRaw = /^[0-9A-F]+:error:/.test(error.message)
  const [line = ''] = error.message.split('\n')
  return { code, text: isRaw ? `TLS failed (${code})` : line || code || error.name }
}

function count(models: number): string {
  return models === 1 ? '1 model' : `${models} models`
}
