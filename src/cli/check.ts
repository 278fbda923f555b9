import type { Environment } from '#config/environment.ts'
import { readConfig, upstreamVariables } from '#config/read.ts'
import type { Config } from '#config/settings.ts'
import { systemClock } from '#core/clock.ts'
import { familyOf } from '#core/family.ts'
import { plainName } from '#core/model-name.ts'
import { providers } from '#providers/all.ts'
import type { ListedModel } from '#providers/provider.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import { type Probe, probeModels } from '#upstreams/probe.ts'
import { openUpstream, type Upstream } from '#upstreams/upstream.ts'
import { withoutSecrets } from './greeting.ts'

/**
 * `tollgate check`: asks each upstream for its models, which costs nothing, and says what works, what does not and
 * what to do. 0 where all of them work, else 1.
 */
export async function check(env: Environment): Promise<number> {
  const config = readConfig(env)
  if (config.upstreams.length === 0) {
    print(
      `No upstream is configured: set ${upstreamVariables()}, or list it under upstreams in tollgate.yaml.`,
    )
    return 1
  }
  const found = await Promise.all(config.upstreams.map((upstream) => checkOne(upstream, config)))
  for (const { lines } of found) print(lines.join('\n  '))
  const broken = found.filter(({ works }) => !works).length
  print(broken === 0 ? 'All of them work.' : `${broken} of ${found.length} do not work.`)
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
  const upstream = openUpstream(config, provider, systemClock)
  try {
    const probe = await probeModels(upstream, timeoutMs)
    const head = `${config.name} (${withoutSecrets(config.baseUrl)})`
    if (probe.kind !== 'listed') return { works: false, lines: [head, ...whyNot(probe, config)] }
    const missing = missingNames(config, probe.models)
    const lines = [
      `works: ${count(probe.models.length)} there, ${servedWords(upstream, probe.models)}`,
      ...missing.map((name) => `does not list ${name}: requests for it may fail; correct models`),
      ...homeless(upstream, probe.models, policy.families),
    ]
    return { works: missing.length === 0, lines: [head, ...lines] }
  } finally {
    await upstream.close()
  }
}

const shownMax = 5

function servedWords(upstream: Upstream, own: readonly ListedModel[]): string {
  const served = upstream.offered(own).map(({ id }) => id)
  if (served.length === 0) return 'of which models lets none through'
  const more = served.length > shownMax ? ' …' : ''
  return `${served.length} served here: ${served.slice(0, shownMax).join(', ')}${more}`
}

/** Names that the configuration spells out, as the upstream would be asked for them, and that it does not list. */
function missingNames({ models, aliases }: UpstreamConfig, own: readonly ListedModel[]): readonly string[] {
  const wanted = aliases ? Object.values(aliases) : models.filter((glob) => !glob.includes('*'))
  const listed = new Set(own.map(({ id }) => plainName(id)))
  const lists = (name: string) => listed.has(plainName(name))
  return own.length === 0 ? [] : wanted.filter((name) => !lists(name))
}

function homeless(
  upstream: Upstream,
  own: readonly ListedModel[],
  families: Config['policy']['families'],
): readonly string[] {
  const without = upstream.offered(own).filter(({ id }) => familyOf(id, families) === undefined)
  const [first] = without
  return first === undefined
    ? []
    : [
        `${count(without.length)} of no family, so not served: ${first.id}${without.length > 1 ? ' …' : ''}; add a family for them`,
      ]
}

/** What is wrong, and what to do about it. */
function whyNot(probe: Exclude<Probe, { kind: 'listed' }>, config: UpstreamConfig): readonly string[] {
  if (probe.kind === 'answered')
    return [`does not work: it answered ${probe.status}`, advise(probe.status, config)]
  const { code, text } = reasonOf(probe.cause)
  return [`does not work: ${text}`, ...adviceFor(code, text, config)]
}

function advise(status: number, { apiKey, baseUrl }: UpstreamConfig): string {
  if (status === 401 || status === 403)
    return apiKey === undefined
      ? 'give it a credential: apiKey'
      : 'its credential is refused: look at apiKey and apiKeyHeader'
  if (status === 404)
    return /\/v\d[^/]*(?:\/|$)/.test(new URL(baseUrl).pathname)
      ? 'there is no list of models at this address: look at baseUrl'
      : 'there is no list of models at this address: should baseUrl end in /v1?'
  if (status === 429) return 'it is asked too often, or the account is used up'
  return 'look at its own log'
}

function adviceFor(code: string, text: string, { proxy, baseUrl }: UpstreamConfig): readonly string[] {
  if (proxy !== undefined && (/proxy/i.test(text) || /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/.test(code)))
    return ['look at its proxy (proxy, HTTPS_PROXY, HTTP_PROXY), or set proxy: none']
  if (/CERT|SELF_SIGNED|ISSUER/.test(code)) return ['name the file of its authority as caFile']
  if (code === 'ECONNREFUSED') return [`nothing listens there: start it, or correct the port in baseUrl`]
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return [`there is no host ${new URL(baseUrl).hostname}: look at baseUrl`]
  return ['look at baseUrl, and whether this machine reaches it']
}

function reasonOf(cause: unknown): { readonly code: string; readonly text: string } {
  if (!(cause instanceof Error)) return { code: '', text: String(cause) }
  const inner = cause instanceof AggregateError ? cause.errors[0] : undefined
  const error = inner instanceof Error ? inner : cause
  const code = 'code' in error ? String(error.code) : ''
  return { code, text: error.message || code || error.name }
}

function count(models: number): string {
  return models === 1 ? '1 model' : `${models} models`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
