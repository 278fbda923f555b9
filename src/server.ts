import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createAccount } from '#account/account.ts'
import { createAdminListener } from '#admin/listener.ts'
import { upstreamVariables } from '#config/read.ts'
import type { Config } from '#config/settings.ts'
import { type Clock, steadyClock } from '#core/clock.ts'
import { createPolicy } from '#core/policy-settings.ts'
import { createGateway } from '#gateway/gateway.ts'
import { createUpstreamLog } from '#gateway/upstream-log.ts'
import { createBodyBudget } from '#http/body.ts'
import { createClientAddress } from '#http/client-address.ts'
import { createCors } from '#http/cors.ts'
import { createCredentialReader } from '#http/credential.ts'
import { createFront } from '#http/front.ts'
import { createTakesHost } from '#http/host-name.ts'
import type { Log } from '#http/log.ts'
import { createReadingRate } from '#http/reading-rate.ts'
import { createThrottle } from '#http/throttle.ts'
import { createSortableId } from '#lib/sortable-id.ts'
import { createStopper } from '#lib/stopper.ts'
import { openMeter } from '#metering/batcher.ts'
import { openHeartbeat, silentMsDefault } from '#metering/heartbeat.ts'
import { createInputCorrections } from '#metering/input-corrections.ts'
import { openInputExchange } from '#metering/input-exchange.ts'
import { journalPathIn, openJournal, replayJournals, replaySetAside } from '#metering/journal.ts'
import { createRecovery } from '#metering/recovery.ts'
import {
  idOf,
  type Kept,
  openSetAside,
  type SetAside,
  setAsidePathIn,
  takeSetAside,
} from '#metering/set-aside.ts'
import { openUpkeep } from '#metering/upkeep.ts'
import { providers } from '#providers/all.ts'
import { accessTokenHeadersOf, createPrefixTest, pathPrefixesOf } from '#providers/gathered.ts'
import { withConfiguredKey } from '#server/configured-key.ts'
import { openConfiguredStore } from '#server/configured-store.ts'
import { createHealth } from '#server/health.ts'
import { openListener } from '#server/listener.ts'
import { disabled, withRevocation } from '#server/revocation.ts'
import { watchRevocations } from '#server/revocation-watch.ts'
import { version } from '#server/version.ts'
import { createAdminKey } from '#storage/admin-keys/create.ts'
import { faultOf } from '#storage/fault.ts'
import type { Store } from '#storage/store.ts'
import { openUpstreams } from '#upstreams/open.ts'
import { createVerifier } from '#verifier/verifier.ts'

const lastWordsMs = 5_000
/** The memory of all bodies that are being read, as a number of bodies of the largest size: 256 MiB by default. */
const bodiesHeldMax = 8

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

async function open(
  config: Config,
  log: Log,
  machineClock: Clock,
  stopper: ReturnType<typeof createStopper>,
): Promise<Server> {
  const instance = createSortableId('ins_', machineClock())
  const store = await openConfiguredStore(config, instance, (sentence) => log.warn(sentence))
  stopper.add(store.close)
  const clock = store.agreeOnTime(machineClock)
  const setAside = openSetAside(config.dataDir, instance, clock)
  await bookLeftovers(config, store, setAside, log, clock, instance)
  const onAbandoned = (entries: number) =>
    log.warn({ entries }, 'charged requests that a stopped process or an ended lease left open')
  const onFault = (id: string, err: unknown) => log.error({ id, err }, 'a request cannot be closed')
  const abandoned = await store.metering.abandonEntries(clock(), silentMsDefault, onFault)
  if (abandoned > 0) onAbandoned(abandoned)
  const madeAdminKey = await adminKeyIfNone(store, config, clock)

  const onFailure = (err: unknown) => log.error({ err }, failureOf(err, config))
  const meter = openMeter(store.metering, clock, {
    onFailure(err) {
      onFailure(err)
      void heartbeat.look()
    },
    onFault: (id, err) => log.error({ id, err }, 'one request cannot be booked; others are'),
    journal: openJournal(journalPathIn(config.dataDir, instance)),
    setAside,
    onDisabled(userId, reason) {
      log.warn({ userId, reason }, 'a user was disabled by a limit')
      gateway.cutUser(userId, disabled(reason))
    },
  })
  stopper.add(meter.close)
  const heartbeat = openHeartbeat(
    { ...store.metering, check: store.check },
    { clock, onBeat: createRecovery(store.metering, meter, log), onAbandoned, onFault, onFailure },
  )
  stopper.add(heartbeat.close)
  await heartbeat.look()
  const upkeep = openUpkeep(store.upkeep, {
    clock,
    retentionDays: config.ledgerRetentionDays,
    purgeAfterDays: config.purgeAfterDays,
    onDone: (rows) => log.debug({ rows }, 'tidied the ledger'),
    onFailure: (err) => log.error({ err }, 'tidying the ledger failed'),
  })
  stopper.add(upkeep.close)
  const corrections = createInputCorrections()
  const inputs = await openInputExchange(store.corrections, corrections, { clock, onFailure })
  stopper.add(inputs.close)
  const upstreams = openUpstreams(config.upstreams, { providers, clock, onNews: createUpstreamLog(log) })
  stopper.add(upstreams.close)

  const credentialHeaders = accessTokenHeadersOf(providers)
  const shared = {
    clock,
    log,
    credentialOf: createCredentialReader(credentialHeaders),
    clientAddress: createClientAddress(config.trustedProxies),
    bodyBytesMax: config.bodyBytesMax,
    readingRate: createReadingRate(clock),
    bodyBudget: createBodyBudget(bodiesHeldMax * config.bodyBytesMax),
  }
  const policy = createPolicy(config.policy)
  const throttleOf = (topic: string) =>
    createThrottle(steadyClock, {
      key: store.keyFor('guesses'),
      peers: {
        tell: (words) => store.signals.tell(topic, words),
        hear: (said) => stopper.add(store.signals.hear(topic, said)),
      },
    })
  const throttle = throttleOf('access tokens')
  const account = createAccount({
    ...shared,
    meter,
    users: store.users,
    usage: store.usage,
    policy,
    throttle,
  })
  const adminKeys = withConfiguredKey(store.adminKeys, config.adminKey, clock())
  const verifier = createVerifier({
    ...shared,
    meter,
    metering: store.metering,
    adminKeys,
    policy,
    throttle,
    keyThrottle: throttleOf('verifier keys'),
  })
  const gateway = createGateway({
    ...shared,
    meter,
    upstreams,
    providers,
    policy,
    throttle,
    knowsAccessToken: store.users.knowsAccessToken,
    limitsOf: async (accessToken) => (await store.users.findUser({ accessToken }, clock()))?.limits,
    onStarted: (userId) => revocations.started(userId),
    onListed: store.metering.listModels,
    onDisconnect: config.onDisconnect,
    inputEstimate: config.inputEstimate,
    corrections,
    noUpstreamAdvice: `let an upstream in tollgate.yaml serve its models, or set ${upstreamVariables()}`,
    keepAliveMs: config.keepAliveMs,
    promptModel: config.promptModel,
    passThrough: config.passThrough,
  })
  const revocations = watchRevocations(store, gateway, clock, onFailure)
  stopper.add(revocations.close)
  const admin = createAdminListener({
    ...shared,
    store: {
      ...store,
      users: withRevocation(store.users, gateway, clock),
      adminKeys,
    },
    policy,
    throttle: throttleOf('admin keys'),
    bulkUsersMax: config.bulkUsersMax,
    contractText: readFileSync(new URL('../contract/openapi-admin-users.yaml', import.meta.url), 'utf8'),
    version,
  })

  const health = createHealth(shared, {
    parts: heartbeat.parts,
    notes: () => [...store.notes(), ...gateway.notes(), ...upstreams.notes()],
  })
  const isGatewayPath = createPrefixTest(pathPrefixesOf(providers))
  // The text after `/admin/users/` is an access token, even where it looks like a path of the gateway.
  const isMeantForGateway = (path: string) => !path.startsWith('/admin/') && gateway.isMeant(path)
  const planes: RequestListener = (request, response) => {
    const path = request.url ?? '/'
    if (health.takes(path)) health.handle(request, response)
    else if (account.takes(path)) account.handle(request, response)
    else if (verifier.takes(path)) verifier.handle(request, response)
    else if (config.adminPort !== undefined || isGatewayPath(path) || isMeantForGateway(path))
      gateway.handle(request, response)
    else admin(request, response)
  }
  const front = {
    ...shared,
    credentialHeaders,
    takesHost: config.servedHosts && createTakesHost(config.servedHosts),
    cors: config.corsOrigins.length > 0 ? createCors(config.corsOrigins, isGatewayPath) : undefined,
  }
  const listener = await openListener({ host: config.host, port: config.port }, createFront(front, planes))
  const listeners = [listener]
  if (config.adminPort !== undefined) {
    listeners.push(
      await openListener(
        { host: config.host, port: config.adminPort },
        createFront(front, (request, response) =>
          health.takes(request.url ?? '/') ? health.handle(request, response) : admin(request, response),
        ),
      ),
    )
  }
  stopper.add(async () => {
    health.stopping()
    // The gateway cuts its relays at the end of the grace; then they need a moment to send their error.
    const closed = listeners.map((each) => each.close(config.stopGraceMs + lastWordsMs))
    await gateway.drain(config.stopGraceMs)
    await Promise.all(closed)
  })
  const adminUrl = listeners.at(-1)?.url ?? listener.url
  return { url: listener.url, adminUrl, madeAdminKey, store, stop: stopper.stop }
}

/**
 * Books the journals and set-aside files of earlier processes before entries are marked as abandoned; logs what it has
 * to set aside.
 */
async function bookLeftovers(
  { dataDir }: Config,
  { metering }: Store,
  setAside: SetAside,
  log: Log,
  clock: Clock,
  instance: string,
): Promise<void> {
  async function putAside(kept: Kept, why: unknown): Promise<void> {
    log.error(
      { id: idOf(kept), err: why, file: setAsidePathIn(dataDir, instance) },
      'set aside: it cannot be booked',
    )
    await setAside.add(kept, why)
  }
  const taken = await takeSetAside(dataDir, instance)
  const replayed = await replayJournals(dataDir, metering, clock, putAside)
  if (replayed.settlements > 0) log.info(replayed, 'booked what the journal had kept')
  const booked = await replaySetAside(taken, metering, clock, putAside)
  if (booked > 0) log.info({ booked }, 'booked what had been set aside')
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
  const made = await createAdminKey(adminKeys, { name: 'first', scopes: ['admin'] }, clock())
  return made.secret
}

/** With the embedded database the sentence names the folder and says what to do. */
function failureOf(error: unknown, { databaseUrl, dataDir }: Config): string {
  const fault = faultOf(error)
  if (!fault) return 'the store failed'
  return `the store failed: ${databaseUrl === undefined ? fault.advice(dataDir) : fault.what}`
}
