import { percentile, requestBytes, runLoad } from './support/load.ts'
import { type Measured, pin, startServer } from './support/process.ts'
import { median, report } from './support/report.ts'
import { rateOf, type Side, timeOf } from './support/side.ts'

/**
 * A small chat completion through Tollgate with everything on, against a bare proxy: the two take turns, each on
 * the same core, with the load and the upstream on another one; the ratios are of the medians of the rounds.
 */
const body = JSON.stringify({
  model: 'gpt-4o-mini',
  messages: [{ role: 'user', content: 'Say hello to the whole world.' }],
})
const rounds = 5
const roundSeconds = 4
const singles = 1500
const connections = 64

export interface RoundLength {
  readonly seconds: number
  /** Requests that are sent one at a time. */
  readonly singles: number
}

export interface Round {
  readonly perSecond: number
  readonly cpuUs: number
  readonly singleMs: number
  readonly loopDelayP99Ms: number
}

export async function runRound(
  server: Measured,
  users: number,
  length: RoundLength = { seconds: roundSeconds, singles },
): Promise<Round> {
  const { host } = new URL(server.url)
  const request = (number: number) =>
    requestBytes(host, '/v1/chat/completions', `bench-${number % users}`, body)
  await server.read()
  const before = await server.read()
  const load = await runLoad({ url: server.url, connections, seconds: length.seconds, request })
  const after = await server.read()
  if (load.failed > 0) throw new Error(`${load.failed} of ${load.requests} requests failed`)
  const single = await runLoad({ url: server.url, connections: 1, requests: length.singles, request })
  return {
    perSecond: load.requests / load.seconds,
    cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / load.requests,
    singleMs: percentile(single.latencies, 0.5),
    loopDelayP99Ms: after.loopDelayP99Ms,
  }
}

export async function benchRelay(): Promise<boolean> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const bare = await startServer('bare', [`${upstream.url}/small`], { core: 0 })
  const tollgate = await startServer('tollgate', [`${upstream.url}/small`], { core: 0 })
  await runRound(bare, 1000)
  await runRound(tollgate, 1000)
  const pairs: (readonly [Round, Round])[] = []
  for (let round = 0; round < rounds; round++)
    pairs.push([await runRound(bare, 1000), await runRound(tollgate, 1000)])
  await Promise.all([tollgate.stop(), bare.stop(), upstream.stop()])

  const ofBare = (pick: (round: Round) => number) => median(pairs.map(([round]) => pick(round)))
  const ofTollgate = (pick: (round: Round) => number) => median(pairs.map(([, round]) => pick(round)))
  const ratio = (pick: (round: Round) => number) =>
    median(pairs.map(([one, other]) => pick(other) / pick(one)))
  return report(`relay: small chat completion, ${connections} at once, one core`, [
    { what: 'bare proxy', value: ofBare((round) => round.perSecond), unit: 'req/s' },
    { what: 'Tollgate', value: ofTollgate((round) => round.perSecond), unit: 'req/s' },
    {
      what: 'requests per second, ratio',
      value: ratio((round) => round.perSecond),
      unit: 'x',
      atLeast: 0.45,
    },
    { what: 'bare proxy, CPU a request', value: ofBare((round) => round.cpuUs), unit: 'us' },
    { what: 'Tollgate, CPU a request', value: ofTollgate((round) => round.cpuUs), unit: 'us' },
    { what: 'CPU time a request, ratio', value: ratio((round) => round.cpuUs), unit: 'x', atMost: 2.5 },
    { what: 'bare proxy, one at a time, median', value: ofBare((round) => round.singleMs), unit: 'ms' },
    {
      what: 'added latency, one at a time, median',
      value: median(pairs.map(([one, other]) => other.singleMs - one.singleMs)),
      unit: 'ms',
      atMost: 0.3,
    },
    {
      what: 'event-loop delay under load, p99',
      value: ofTollgate((round) => round.loopDelayP99Ms),
      unit: 'ms',
    },
  ])
}

/**
 * During the first 50,000 requests V8 recompiles the code of a request several times, and CPU a request falls by half;
 * when that ends differs from start to start.
 */
async function warmUp(server: Measured): Promise<void> {
  const { host } = new URL(server.url)
  const request = (number: number) =>
    requestBytes(host, '/v1/chat/completions', `bench-${number % 1000}`, body)
  await runLoad({ url: server.url, connections, requests: 50_000, request })
}

/** Short rounds: over many of them the effect of other programs cancels out. */
export async function openSide(): Promise<Side> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const tollgate = await startServer('tollgate', [`${upstream.url}/small`], { core: 0 })
  await warmUp(tollgate)
  return {
    async round() {
      const { perSecond, cpuUs, singleMs } = await runRound(tollgate, 1000, { seconds: 0.4, singles: 150 })
      return [
        rateOf(`small chat completions, ${connections} at once`, perSecond, 'req/s'),
        timeOf('CPU a request', cpuUs, 'us'),
        timeOf('one at a time, median', singleMs, 'ms'),
      ]
    },
    close: async () => void (await Promise.all([tollgate.stop(), upstream.stop()])),
  }
}
