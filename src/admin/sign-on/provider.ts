import * as client from 'openid-client'
import type { Clock } from '#core/clock.ts'
import {
  type PendingSignOn,
  type SignOn,
  type SignOnEnded,
  type SignOnSettings,
  signOnCallbackPath,
} from '#core/sign-on.ts'
import type { Log } from '#http/log.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { createPendingSeal } from './pending.ts'
import { lacksClaims, personOf } from './person.ts'

/**
 * A provider of OpenID Connect, by the authorization code flow with PKCE. It is asked for its addresses at the first
 * sign-on and not at the start, so that the instance serves while the provider is down. Its keys are loaded for each
 * sign-on: persons log in rarely, and a key that the provider has changed is known at once.
 */
export interface SignOnParts {
  /** Seals what the browser keeps; the same on all instances. */
  readonly key: string
  readonly clock: Clock
  readonly log: Log
}

const timeoutSeconds = 10
/** Clocks of the provider and of this machine may differ by so much. */
const toleranceSeconds = 60
const keptMs = 3_600_000
/** A provider that is down is not asked at each request. */
const pauseMs = 1_000

export function openSignOn(settings: SignOnSettings, { key, clock, log }: SignOnParts): SignOn {
  const redirectUri = `${settings.publicUrl}${signOnCallbackPath}`
  const discover = createDiscovery(settings)

  function failed(error: unknown): SignOnEnded {
    const ended = endOf(error)
    // The texts of the provider, and addresses with a code in them, stay out of the log.
    log.warn({ reason: reasonOf(error) }, `the sign-on failed: ${ended.kind}`)
    return ended
  }

  return {
    ...createPendingSeal(key, clock),
    async begin(returnTo) {
      try {
        const config = await discover()
        const [state, nonce] = [client.randomState(), client.randomNonce()]
        const codeVerifier = client.randomPKCECodeVerifier()
        const url = client.buildAuthorizationUrl(config, {
          redirect_uri: redirectUri,
          scope: settings.scope,
          code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
          state,
          nonce,
        })
        const pending = { state, nonce, codeVerifier, returnTo, at: clock() }
        return { kind: 'begun', url: url.href, pending }
      } catch (error) {
        log.warn({ reason: reasonOf(error) }, 'the provider of the sign-on cannot be reached')
        return { kind: 'unavailable' }
      }
    },
    async finish(query, pending) {
      try {
        const config = await discover()
        const claims = await claimsOf(config, redirectUri, query, pending, settings)
        return claims ? personOf(claims, settings) : { kind: 'refused', why: 'wrong' }
      } catch (error) {
        return failed(error)
      }
    },
  }
}

async function claimsOf(
  config: client.Configuration,
  redirectUri: string,
  query: string,
  { state, nonce, codeVerifier }: PendingSignOn,
  settings: SignOnSettings,
) {
  const granted = await client.authorizationCodeGrant(config, new URL(`${redirectUri}?${query}`), {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
  const claims = granted.claims()
  if (!claims) return undefined
  const hasUserInfo = config.serverMetadata().userinfo_endpoint !== undefined
  if (!hasUserInfo || !lacksClaims(claims, settings)) return claims
  return { ...(await client.fetchUserInfo(config, granted.access_token, claims.sub)), ...claims }
}

/** Answers a configuration of its own for each sign-on. */
function createDiscovery({ issuer, clientId, clientSecret }: SignOnSettings) {
  let known: { readonly server: client.ServerMetadata; readonly at: number } | undefined
  let failure: { readonly error: unknown; readonly at: number } | undefined
  let asking: Promise<client.ServerMetadata> | undefined
  const isPlain = issuer.startsWith('http:')

  async function ask(): Promise<client.ServerMetadata> {
    try {
      const found = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
        timeout: timeoutSeconds,
        [client.customFetch]: boundedFetch,
        // The settings take such an issuer on this machine only.
        execute: isPlain ? [client.allowInsecureRequests] : [],
      })
      known = { server: found.serverMetadata(), at: performance.now() }
      return known.server
    } catch (error) {
      failure = { error, at: performance.now() }
      throw error
    } finally {
      asking = undefined
    }
  }

  async function serverMetadata(): Promise<client.ServerMetadata> {
    const now = performance.now()
    if (known && now - known.at < keptMs) return known.server
    if (failure && now - failure.at < pauseMs) {
      if (known) return known.server
      throw failure.error
    }
    asking ??= ask()
    try {
      return await asking
    } catch (error) {
      if (known) return known.server
      throw error
    }
  }

  return async (): Promise<client.Configuration> => {
    const server = await serverMetadata()
    const config = new client.Configuration(
      server,
      clientId,
      { [client.clockTolerance]: toleranceSeconds },
      authenticationOf(server, clientSecret),
    )
    config.timeout = timeoutSeconds
    config[client.customFetch] = boundedFetch
    if (isPlain) client.allowInsecureRequests(config)
    // The connection to the provider would do; the signature also holds where a proxy ends it.
    client.enableNonRepudiationChecks(config)
    return config
  }
}

/** `client_secret_basic` is what a provider takes that names none (OpenID Connect Discovery, section 3). */
function authenticationOf(
  { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] }: client.ServerMetadata,
  secret: string | undefined,
): client.ClientAuth {
  if (secret === undefined) return client.None()
  const isPost = !methods.includes('client_secret_basic') && methods.includes('client_secret_post')
  return isPost ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret)
}

/** Errors of the token endpoint that are about the settings, or the provider itself; the others are about the code. */
const notOfTheCode = ['invalid_client', 'unauthorized_client', 'server_error', 'temporarily_unavailable']

function endOf(error: unknown): SignOnEnded {
  if (error instanceof client.AuthorizationResponseError) return { kind: 'refused', why: 'denied' }
  if (error instanceof client.ResponseBodyError)
    return notOfTheCode.includes(error.error) ? { kind: 'unavailable' } : { kind: 'refused', why: 'wrong' }
  if (error instanceof client.ClientError && !isOfTheWay(error)) return { kind: 'refused', why: 'wrong' }
  return { kind: 'unavailable' }
}

const codesOfTheWay = [
  'OAUTH_TIMEOUT',
  'OAUTH_ABORT',
  'OAUTH_RESPONSE_IS_NOT_CONFORM',
  'OAUTH_RESPONSE_IS_NOT_JSON',
]

/** The provider could not be asked, or its answer is not one of a provider. */
function isOfTheWay({ code }: client.ClientError): boolean {
  return code === undefined || codesOfTheWay.includes(code)
}

/** Codes alone, the error's own and those of its causes. */
function reasonOf(error: unknown): string {
  const codes: string[] = []
  for (let each = error; each instanceof Error && codes.length < 5; each = each.cause) {
    if (each instanceof client.ResponseBodyError || each instanceof client.AuthorizationResponseError)
      codes.push(each.error.slice(0, 40))
    codes.push('code' in each && typeof each.code === 'string' ? each.code : each.name)
  }
  return codes.join(', ')
}
