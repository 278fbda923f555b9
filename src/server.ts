import type { Config } from '#config/settings.ts'
import type { By } from '#core/change.ts'
import type { Clock } from '#core/clock.ts'
import { createUpstreamLog } from '#gateway/upstream-log.ts'
import type { Log } from '#http/log.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { createStopper, type Stopper } from '#lib/stopper.ts'
import { providers } from '#providers/all.ts'
import { openAccounting } from '#server/accounting.ts'
import { openConfiguredStore } from '#server/configured-store.ts'
import { type Listener, openListener } from '#server/listener.ts'
import { plainUpstreams } from '#server/plain-upstreams.ts'
import { openPlanes } from '#server/planes.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { faultOf } from '#storage/fault.ts'
import type { Store } from '#storage/store.ts'
import { openUpstreams } from '#upstreams/open.ts'

const lastWordsMs = 5_000

/** A running Tollgate. */
export interface Server {
  readonly url: string
  readonly adminUrl: string
  /** The admin key that was made because the store had none; it is shown once and not stored. */
  readonly madeAdminKey: string | undefined
  readonly store: Store
  /** Refuses new requests, lets running ones finish within the grace, books everything, closes. */
  readonly stop: () => Promise<void>
}

/** Opens everything in order. A failure closes again what was opened before it. */
export async function openServer(config: Config, log: Log, clock: Clock): Promise<Server> {
  const stopper = createStopper()
  try {
    return await open(config, log, clock, stopper)
  } catch (error) {
    await stopper.stop().catch((second: unknown) => log.error({ err: second }, 'closing failed'))
    throw error
  }
}

async function open(config: Config, log: Log, machineClock: Clock, stopper: Stopper): Promise<Server> {
  const instance = createSortableId('ins_', machineClock())
  const store = await openConfiguredStore(config, instance, (sentence) => log.warn(sentence))
  stopper.add(store.close)
  const clock = store.agreeOnTime(machineClock)
  const onFailure = (err: unknown) => log.error({ err }, failureOf(err, config))
  const base = { config, instance, store, clock, log, stopper, onFailure }
  const accounting = await openAccounting(base)
  const upstreams = openUpstreams(config.upstreams, { providers, clock, onNews: createUpstreamLog(log) })
  stopper.add(upstreams.close)
  for (const sentence of plainUpstreams(config.upstreams)) log.warn(sentence)
  const planes = await openPlanes(base, accounting, upstreams)
  const listeners: Listener[] = []
  // Added before they are opened: where the second port is in use, the first one has to be closed again.
  stopper.add(async () => {
    planes.health.stopping()
    // The gateway cuts its relays at the end of the grace; then they need a moment to send their error.
    const closed = listeners.map((each) => each.close(config.stopGraceMs + lastWordsMs))
    await planes.gateway.drain(config.stopGraceMs)
    await Promise.all(closed)
  })
  const { host, port, adminPort } = config
  const listener = await openListener({ host, port }, planes.listen)
  listeners.push(listener)
  if (adminPort !== undefined)
    listeners.push(await openListener({ host, port: adminPort }, planes.listenAdmin))
  // After the ports are open: the key is shown once, so a start that fails must not have made it.
  const madeAdminKey = await adminKeyIfNone(store, config, clock)
  const adminUrl = listeners.at(-1)?.url ?? listener.url
  return { url: listener.url, adminUrl, madeAdminKey, store, stop: stopper.stop }
}

/** Makes the first admin key. An expired one still counts: otherwise the next start would silently replace it. */
async function adminKeyIfNone(
  { adminKeys }: Store,
  config: Config,
  clock: Clock,
): Promise<string | undefined> {
  if (config.adminKey !== undefined) return undefined
  const keys = await adminKeys.listAdminKeys()
  if (keys.some(({ scopes }) => scopes.includes('admin'))) return undefined
  const by: By = { now: clock(), actor: { kind: 'command_line', name: 'first start' } }
  const made = await createAdminKey(adminKeys, { name: 'first', scopes: ['admin'] }, by)
  return made.secret
}

/** With the embedded database the sentence names the folder and says what to do. */
function failureOf(error: unknown, { databaseUrl, dataDir }: Config): string {
  const fault = faultOf(error)
  if (!fault) return 'the store failed'
  return `the store failed: ${databaseUrl === undefined ? fault.advice(dataDir) : fault.what}`
}
