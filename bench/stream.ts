import { connect } from 'node:net'
import { requestBytes, runLoad } from './support/load.ts'
import { type Measured, pin, startServer } from './support/process.ts'
import { median, report } from './support/report.ts'
import { rateOf, type Side, timeOf } from './support/side.ts'

/** Streams against the bare pipe: chunks per second while they come as fast as they can, memory while they idle. */
const body = JSON.stringify({
  model: 'gpt-4o-mini',
  stream: true,
  stream_options: { include_usage: true },
  messages: [{ role: 'user', content: 'Tell me a story.' }],
})
const rounds = 5
const streamsAtOnce = 200
const streamsARound = 600
const chunksAStream = 500
const idleStreams = 2000

async function chunksPerSecond(
  server: Measured,
  { streams, atOnce } = { streams: streamsARound, atOnce: streamsAtOnce },
): Promise<{ perSecond: number; cpuUs: number }> {
  const { host } = new URL(server.url)
  const request = (number: number) =>
    requestBytes(host, '/v1/chat/completions', `bench-${number % 1000}`, body)
  const before = await server.read()
  const load = await runLoad({
    url: server.url,
    connections: atOnce,
    requests: streams,
    request,
  })
  const after = await server.read()
  if (load.failed > 0 || load.requests < streams)
    throw new Error(`${load.failed} of ${load.requests} streams failed`)
  const chunks = load.requests * chunksAStream
  return { perSecond: chunks / load.seconds, cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / chunks }
}

/** The memory of an open, silent stream, in bytes. */
async function idleBytes(server: Measured): Promise<number> {
  const { host, hostname, port } = new URL(server.url)
  const open = (count: number) =>
    Promise.all(
      Array.from(
        { length: count },
        (_, index) =>
          new Promise<() => void>((resolve, reject) => {
            const socket = connect({ host: hostname, port: Number(port) }, () =>
              socket.write(requestBytes(host, '/v1/chat/completions', `bench-${index % 1000}`, body)),
            )
            socket.once('data', () => resolve(() => socket.destroy()))
            socket.once('error', reject)
          }),
      ),
    )
  // A first group loads the code and its pools into memory, so that the second counts streams alone.
  const first = await open(idleStreams / 4)
  const before = await server.read('collect')
  const second = await open(idleStreams)
  const after = await server.read('collect')
  for (const close of [...first, ...second]) close()
  return (after.residentBytes - before.residentBytes) / idleStreams
}

export async function benchStream(): Promise<boolean> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const start = async (kind: 'stream' | 'idle') =>
    [
      await startServer('bare', [`${upstream.url}/${kind}`], { core: 0 }),
      await startServer('tollgate', [`${upstream.url}/${kind}`], { core: 0 }),
    ] as const
  const [bare, tollgate] = await start('stream')
  const pairs: (readonly [{ perSecond: number; cpuUs: number }, { perSecond: number; cpuUs: number }])[] = []
  await chunksPerSecond(bare)
  await chunksPerSecond(tollgate)
  for (let round = 0; round < rounds; round++)
    pairs.push([await chunksPerSecond(bare), await chunksPerSecond(tollgate)])
  await Promise.all([bare.stop(), tollgate.stop()])
  const idle: (readonly [number, number])[] = []
  for (let round = 0; round < 3; round++) {
    const [idleBare, idleTollgate] = await start('idle')
    idle.push([await idleBytes(idleBare), await idleBytes(idleTollgate)])
    await Promise.all([idleBare.stop(), idleTollgate.stop()])
  }
  await upstream.stop()
  return report(`streams: ${chunksAStream} chunks each, ${streamsAtOnce} at once, one core`, [
    { what: 'bare pipe', value: median(pairs.map(([one]) => one.perSecond)), unit: 'chunks/s' },
    { what: 'Tollgate', value: median(pairs.map(([, other]) => other.perSecond)), unit: 'chunks/s' },
    {
      what: 'chunks per second, ratio',
      value: median(pairs.map(([one, other]) => other.perSecond / one.perSecond)),
      unit: 'x',
      atLeast: 0.9,
    },
    {
      what: 'CPU time a chunk, ratio',
      value: median(pairs.map(([one, other]) => other.cpuUs / one.cpuUs)),
      unit: 'x',
    },
    { what: 'bare pipe, memory an idle stream', value: median(idle.map(([one]) => one)) / 1024, unit: 'KiB' },
    {
      what: 'Tollgate, memory an idle stream',
      value: median(idle.map(([, other]) => other)) / 1024,
      unit: 'KiB',
    },
    {
      what: 'memory an idle stream, ratio',
      value: median(idle.map(([one, other]) => other / one)),
      unit: 'x',
      atMost: 1.3,
    },
  ])
}

/** Memory is measured at the opening, since streams that were there before change it. */
export async function openSide(): Promise<Side> {
  pin(process.pid, 1)
  const upstream = await startServer('upstream', [], { core: 1 })
  const idle = await startServer('tollgate', [`${upstream.url}/idle`], { core: 0 })
  const bytes = await idleBytes(idle)
  await idle.stop()
  const tollgate = await startServer('tollgate', [`${upstream.url}/stream`], { core: 0 })
  await chunksPerSecond(tollgate)
  return {
    async round() {
      const atOnce = 100
      const { perSecond, cpuUs } = await chunksPerSecond(tollgate, { streams: atOnce, atOnce })
      return [
        rateOf(`chunks, ${atOnce} streams at once`, perSecond, 'chunks/s'),
        timeOf('CPU a chunk', cpuUs, 'us'),
        timeOf('memory an idle stream', bytes / 1024, 'KiB'),
      ]
    },
    close: async () => void (await Promise.all([tollgate.stop(), upstream.stop()])),
  }
}
