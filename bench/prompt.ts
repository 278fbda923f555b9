import { percentile, requestBytes, runLoad } from './support/load.ts'
import { pin, startServer } from './support/process.ts'
import { report } from './support/report.ts'
import { type Sample, type Side, timeOf } from './support/side.ts'

/** How long small requests wait while prompts of 10 MB come in. */
const small = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello.' }] })

const kinds = ['prose', 'chinese', 'many'] as const
const path = '/v1/chat/completions'

function largePrompt(kind: (typeof kinds)[number]): Buffer {
  const bytes = 10 * 1024 * 1024
  const say = (content: string) => ({ role: 'user', content })
  const messages =
    kind === 'prose'
      ? [say('The quick brown fox jumps over the lazy dog. '.repeat(bytes / 45))]
      : kind === 'chinese'
        ? [say('敏捷的棕色狐狸跳过懒狗'.repeat(bytes / 33))]
        : Array.from({ length: bytes / 64 }, (_, index) => say(`message ${index} says so`))
  return Buffer.from(JSON.stringify({ model: 'gpt-4o-mini', messages }))
}

export async function benchPrompt(): Promise<boolean> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const tollgate = await startServer('tollgate', [`${upstream.url}/small`], { core: 0 })
  const { host } = new URL(tollgate.url)
  const smallLoad = (seconds: number) =>
    runLoad({
      url: tollgate.url,
      connections: 1,
      seconds,
      request: (n) => requestBytes(host, path, `bench-${n % 1000}`, small),
    })
  await smallLoad(2)
  const quiet = await smallLoad(3)
  const figures = []
  for (const kind of kinds) {
    const request = requestBytes(host, path, 'bench-1', largePrompt(kind))
    await tollgate.read()
    const [during, large] = await Promise.all([
      smallLoad(5),
      runLoad({ url: tollgate.url, connections: 1, requests: 15, request: () => request }),
    ])
    if (large.failed > 0) throw new Error('a large prompt failed')
    const { loopDelayMaxMs } = await tollgate.read()
    const longest = during.latencies.at(-1) ?? Number.NaN
    figures.push({
      what: `longest small request beside 10 MB of ${kind}`,
      value: longest - percentile(quiet.latencies, 0.5),
      unit: 'ms',
      atMost: 50,
    })
    figures.push({
      what: `  the large one itself, median`,
      value: percentile(large.latencies, 0.5),
      unit: 'ms',
    })
    figures.push({ what: '  longest delay of the event loop', value: loopDelayMaxMs, unit: 'ms' })
  }
  await Promise.all([tollgate.stop(), upstream.stop()])
  return report('prompt: what 10 MB do to the others', [
    { what: 'small request alone, median', value: percentile(quiet.latencies, 0.5), unit: 'ms' },
    { what: 'small request alone, longest', value: quiet.latencies.at(-1) ?? 0, unit: 'ms' },
    ...figures,
  ])
}

export async function openSide(): Promise<Side> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const tollgate = await startServer('tollgate', [`${upstream.url}/small`], { core: 0 })
  const { host } = new URL(tollgate.url)
  const load = (requests: number, request: Buffer) =>
    runLoad({ url: tollgate.url, connections: 1, requests, request: () => request })
  const prompts = kinds.map((kind) => ({
    kind,
    request: requestBytes(host, path, 'bench-1', largePrompt(kind)),
  }))
  await load(5000, requestBytes(host, path, 'bench-1', small))
  const round = async () => {
    const samples: Sample[] = []
    for (const { kind, request } of prompts) {
      const before = await tollgate.read()
      const large = await load(3, request)
      const after = await tollgate.read()
      if (large.failed > 0) throw new Error('a large prompt failed')
      samples.push(
        timeOf(`10 MB of ${kind}, median`, percentile(large.latencies, 0.5), 'ms'),
        timeOf(`10 MB of ${kind}, CPU`, (after.cpuMs - before.cpuMs) / 3, 'ms'),
      )
    }
    return samples
  }
  await round()
  return { round, close: async () => void (await Promise.all([tollgate.stop(), upstream.stop()])) }
}
