import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

/** A real provider of OpenID Connect on this machine. Each person logs in by name alone. */
export interface SignOnProvider {
  readonly issuer: string
  readonly port: number
  /** How often a code was exchanged, or tried to be. */
  readonly exchanges: () => number
  readonly close: () => Promise<void>
}

export const clientId = 'tollgate'
export const clientSecret = 'a-secret-of-the-client-at-its-provider'

type Claims = Readonly<Record<string, unknown>>

export interface ProviderOptions {
  readonly redirectUris: readonly string[]
  /** What is said of each person. */
  readonly persons: Readonly<Record<string, Claims>>
  readonly port?: number
  /** Whether the ID token holds the claims, or the user info alone. */
  readonly isInIdToken?: boolean
  /** Whether it shows another key, by the name of its own, as a machine in between may. */
  readonly hasOtherKeys?: boolean
  /** What is said in place of the issuer. */
  readonly issuer?: string
}

export async function openProvider(options: ProviderOptions): Promise<SignOnProvider> {
  let exchanged = 0
  let listen: ReturnType<Provider['callback']> | undefined
  const server = createServer((request, response) => {
    if (options.hasOtherKeys && request.url === '/jwks') {
      const keys = [createKey('public')]
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
    } else listen?.(request, response)
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const issuer = options.issuer ?? `http://127.0.0.1:${port}`
  const provider = new Provider(issuer, configurationOf(options))
  provider.use(async (ctx, next) => {
    if (ctx.path === '/token') exchanged += 1
    await next()
  })
  listen = provider.callback()
  return {
    issuer,
    port,
    exchanges: () => exchanged,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function configurationOf({ redirectUris, persons, isInIdToken = false }: ProviderOptions): object {
  return {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: redirectUris }],
    claims: {
      openid: ['sub', 'groups', '_claim_names'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: !isInIdToken,
    pkce: { required: () => true },
    cookies: { keys: ['of-a-test'] },
    jwks: { keys: [createKey('private')] },
    findAccount: async (_: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({ sub: id, ...persons[id] }),
    }),
    // No page asks whether the client may know a person.
    async loadExistingGrant({ oidc }: Parameters<Parameters<Provider['use']>[0]>[0]) {
      const { Grant } = oidc.provider
      const grant = new Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId })
      grant.addOIDCScope('openid profile email')
      await grant.save()
      return grant
    },
  }
}

function createKey(part: 'private' | 'public'): object {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = part === 'private' ? privateKey : publicKey
  return { ...key.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'of-a-test' }
}
