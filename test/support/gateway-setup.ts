import { after, before } from 'node:test'
import { type Harness, type HarnessOptions, openHarness, upstreamAt } from './gateway-harness.ts'
import { chatAnswer, json, openScripted, type Script, type Scripted } from './gateway-scripted.ts'
import type { DatabaseKind } from './stores.ts'

export interface UsedGateway {
  readonly harness: Harness
  readonly upstream: Scripted
}

/**
 * A gateway before a scripted upstream, for all tests of the `describe` that calls this: opened before the first one;
 * settled, checked and closed after the last one.
 *
 * @param optionsFor by the upstream's origin; absent: both protocols at it
 * @param script of the upstream until a test sets its own; absent: a chat's answer
 */
export function useGateway(
  database: DatabaseKind,
  optionsFor: (origin: string) => HarnessOptions | Promise<HarnessOptions> = (origin) => ({
    upstreams: bothAt(origin),
  }),
  script: Script = json(chatAnswer),
): UsedGateway {
  let harness: Harness | undefined
  let upstream: Scripted | undefined
  before(async () => {
    upstream = await openScripted(script)
    harness = await openHarness(database, await optionsFor(upstream.origin))
  })
  after(async () => {
    await harness?.settle()
    await harness?.close()
    await upstream?.close()
  })
  return { harness: openedLater(() => harness), upstream: openedLater(() => upstream) }
}

/** One upstream of each protocol. */
export function bothAt(origin: string): HarnessOptions['upstreams'] {
  return (['openai', 'anthropic'] as const).map((provider) => upstreamAt(origin, { provider }))
}

/** Stands for an object that exists only when the tests run. */
function openedLater<T extends object>(find: () => T | undefined): T {
  const opened = () => {
    const found = find()
    if (!found) throw new Error('it is open while the tests of its describe run only')
    return found
  }
  return new Proxy({} as T, {
    get: (_target, key): unknown => Reflect.get(opened(), key),
    set: (_target, key, value) => Reflect.set(opened(), key, value),
  })
}
