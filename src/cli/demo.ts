import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Environment, textOf } from '#config/environment.ts'
import { readConfig } from '#config/read.ts'
import { type Config, ConfigError } from '#config/settings.ts'
import { systemClock } from '#core/clock.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { createStopper } from '#lib/stopper.ts'
import { providers } from '#providers/all.ts'
import type { Store } from '#storage/store.ts'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'

/**
 * `--demo`: the real program with simulated models. A simulated upstream on loopback speaks every protocol. Users,
 * admin key and access tokens are well known, so that the README's commands can be pasted unchanged. The data is
 * deleted when the process ends.
 */
export interface Demo {
  readonly config: Config
  readonly addUsers: (store: Store) => Promise<readonly DemoUser[]>
  readonly close: () => Promise<void>
}

export interface DemoUser {
  readonly name: string
  readonly accessToken: string
  readonly about: string
}

const demoAdminKey = 'demo-admin-key-1'
const hourMs = 3_600_000

/** Opens the simulated upstream. Throws where other machines could reach the demo and its well-known keys. */
export async function openDemo(env: Environment): Promise<Demo> {
  const given = readConfig(env)
  if (!['127.0.0.1', '::1', 'localhost'].includes(given.host) && given.adminKey === undefined) {
    throw new ConfigError(
      'HOST',
      'the demo has a well-known admin key: leave HOST at 127.0.0.1, or set ADMIN_KEY',
    )
  }
  const stopper = createStopper()
  const upstream = await openSimulatedUpstream({ port: 0 })
  stopper.add(upstream.close)
  return {
    config: {
      ...given,
      given: givenByDemo(given),
      adminKey: given.adminKey ?? demoAdminKey,
      servedHosts: given.demoHosts,
      dataDir: textOf(env, 'DATA_DIR') ?? temporaryFolder(stopper.add),
      upstreams: providers.map((provider) => ({
        name: `simulated-${provider.name}`,
        provider: provider.name,
        baseUrl: upstream.url + new URL(provider.publicBaseUrl).pathname.replace(/\/$/, ''),
        models: ['*'],
        apiKey: 'none',
        passRequestHeaders: ['x-simulate'],
      })),
    },
    addUsers,
    close: stopper.stop,
  }
}

/** What `--demo` sets itself. */
function givenByDemo({ given }: Config): Config['given'] {
  const own = ['ADMIN_KEY', 'DATA_DIR'].filter((name) => !given.has(name))
  return new Map([...given, ...[...own, 'upstreams'].map((name) => [name, 'command_line'] as const)])
}

function temporaryFolder(add: (close: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-demo-'))
  add(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Creates users of every kind, those that do not exist yet. */
async function addUsers(store: Store): Promise<readonly DemoUser[]> {
  const now = systemClock()
  const users: readonly (DemoUser & { readonly edit: UserEdit })[] = [
    {
      name: 'Ann',
      accessToken: 'demo-ann',
      about: 'normal; 100,000 units of turbo and of claude a day',
      edit: { quotaLimits: { turbo: 100_000, claude: 100_000 }, limits: { period: 'daily' } },
    },
    {
      name: 'Bob',
      accessToken: 'demo-bob',
      about: 'normal; 500 units of turbo, soon used up',
      edit: { quotaLimits: { turbo: 500 } },
    },
    {
      name: 'Sue',
      accessToken: 'demo-sue',
      about: 'special: exempt from limits, still metered',
      edit: { type: 'special' },
    },
    {
      name: 'Tim',
      accessToken: 'demo-tim',
      about: 'temporary; expires in an hour',
      edit: { type: 'temporary', expiresAt: now + hourMs, quotaLimits: { turbo: 5000 } },
    },
    {
      name: 'Eve',
      accessToken: 'demo-eve',
      about: 'disabled',
      edit: { disabledAt: now, disabledReason: 'Shared her access token' },
    },
  ]
  const writes = users.map(({ name, accessToken, edit }) => ({
    ref: { accessToken },
    edit: { nickname: name, ...edit },
  }))
  const known = await Promise.all(users.map(({ accessToken }) => store.users.knowsAccessToken(accessToken)))
  const result = await store.users.writeUsers(
    writes.filter((_, index) => !known[index]),
    { now, actor: { kind: 'command_line', name: 'demo' } },
  )
  if (result.kind !== 'written') throw new Error(`the sample users were not written: ${result.kind}`)
  return users.map(({ name, accessToken, about }) => ({ name, accessToken, about }))
}
