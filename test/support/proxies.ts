import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { needProgram } from './debian.ts'

/** Real proxies with the original files of `deploy/`; only addresses, the key and a family are replaced. */
export interface ProxyKind {
  readonly name: string
  /** Its file in `deploy/`. */
  readonly file: string
  /** It removes every header with our prefix, not only the known names. */
  readonly removesUnknown: boolean
  readonly prepare: (places: ProxyPlaces) => Prepared
}

export interface ProxyPlaces {
  readonly folder: string
  readonly port: number
  /** `host:port` of Tollgate, and of the server behind the proxy. */
  readonly tollgate: string
  readonly application: string
  readonly key: string
  /** A user whose quota is held, where one is tested. */
  readonly family?: string
}

interface Prepared {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface RunningProxy {
  readonly port: number
  readonly stop: () => Promise<void>
}

const deploy = join(import.meta.dirname, '..', '..', 'deploy')

/** Replaces a text in a file, and fails where the file does not contain it. */
function replaced(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    assert.ok(before.includes(from), `the file has ${from}`)
    return before.replaceAll(from, to)
  }, text)
}

function prepareNginx({ folder, port, tollgate, application, key, family }: ProxyPlaces): Prepared {
  const keyFile = join(folder, 'tollgate-key.conf')
  writeFileSync(keyFile, `proxy_set_header X-Tollgate-Key "${key}";\n`)
  const site = replaced(readFileSync(join(deploy, 'nginx.conf'), 'utf8'), [
    ['server 127.0.0.1:8080;', `server ${tollgate};`],
    ['server 127.0.0.1:3000;', `server ${application};`],
    ['listen 80;', `listen 127.0.0.1:${port};`],
    ['include /etc/nginx/tollgate-key.conf;', `include ${keyFile};`],
    ['deny=403;', family === undefined ? 'deny=403;' : `deny=403&family=${family};`],
  ])
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(folder, name)};`)
    .join('\n')
  const main = join(folder, 'nginx.conf')
  writeFileSync(
    main,
    `daemon off; master_process off; pid ${join(folder, 'nginx.pid')}; error_log stderr;
     events {} http { access_log off; ${temporary}\n${site}\n}`,
  )
  return { program: needProgram('nginx', 'nginx-light'), args: ['-e', 'stderr', '-c', main], env: {} }
}

function environmentOf({ port, tollgate, application, key, family }: ProxyPlaces, listen: string) {
  return {
    LISTEN: listen + port,
    TOLLGATE: tollgate,
    APPLICATION: application,
    TOLLGATE_VERIFIER_KEY: key,
    ...(family !== undefined && { TOLLGATE_VERIFY: `/auth/verify?family=${family}` }),
  }
}

function prepareCaddy(places: ProxyPlaces): Prepared {
  const { folder } = places
  return {
    program: needProgram('caddy'),
    args: ['run', '--config', join(deploy, 'Caddyfile'), '--adapter', 'caddyfile'],
    env: {
      ...environmentOf(places, 'http://127.0.0.1:'),
      CADDY_ADMIN: `unix/${join(folder, 'admin.sock')}`,
      HOME: folder,
      XDG_DATA_HOME: folder,
      XDG_CONFIG_HOME: folder,
    },
  }
}

function prepareHaproxy(places: ProxyPlaces): Prepared {
  const env = {
    ...environmentOf(places, '127.0.0.1:'),
    HAPROXY_AUTH_LUA: join(deploy, 'haproxy-auth.lua'),
  }
  return { program: needProgram('haproxy'), args: ['-db', '-f', join(deploy, 'haproxy.cfg')], env }
}

export const proxyKinds: readonly ProxyKind[] = [
  { name: 'nginx', file: 'nginx.conf', removesUnknown: false, prepare: prepareNginx },
  { name: 'Caddy', file: 'Caddyfile', removesUnknown: true, prepare: prepareCaddy },
  { name: 'HAProxy', file: 'haproxy.cfg', removesUnknown: true, prepare: prepareHaproxy },
]

/** Starts one on a free port; `folder` is for its files. */
export async function startProxy(
  kind: ProxyKind,
  places: Omit<ProxyPlaces, 'port' | 'folder'> & { readonly folder: string },
): Promise<RunningProxy> {
  const port = await freePort()
  const folder = join(places.folder, `${kind.name}-${port}`)
  mkdirSync(folder)
  const { program, args, env } = kind.prepare({ ...places, folder, port })
  const child = spawn(program, args, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (output += data))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  await untilListening(port, child, () => output)
  return {
    port,
    async stop() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function untilListening(port: number, child: ChildProcess, output: () => string): Promise<void> {
  const until = Date.now() + 15_000
  for (;;) {
    assert.equal(child.exitCode, null, `it ended: ${output()}`)
    assert.ok(Date.now() < until, `it never listened: ${output()}`)
    const isThere = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
    if (isThere) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A port that is free now; these programs cannot choose one and report it. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : assert.fail('it has a port')
}
