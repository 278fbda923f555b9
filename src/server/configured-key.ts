import { createHash, timingSafeEqual } from 'node:crypto'
import { configuredKeyId } from '#core/admin-key.ts'
import type { ConfiguredKey } from '#core/session.ts'
import type { SignOnBounds } from '#core/sign-on.ts'
import type { ClaimStore } from '#storage/store/claims.ts'
import type { AdminKeyStore, SessionStore } from '#storage/store.ts'

/**
 * The key from the environment, which is never stored, so that changing it there revokes the old one, and its sessions, at
 * the next start. Undefined where none is configured.
 * @param now the start of this process, which stands for the key's age: its real age is not known
 */
export function configuredKeyOf(secret: string | undefined, now: number): ConfiguredKey | undefined {
  if (secret === undefined) return undefined
  return {
    secret,
    key: {
      id: configuredKeyId,
      name: 'environment',
      createdAt: now,
      scopes: ['admin'],
      isGuessable: !isLong(secret),
    },
  }
}

/**
 * The admin keys: those in the store, and the one from the environment. It is listed with the others, because an
 * administrator wants to see every key that is accepted, but it cannot be deleted here. While it is set, the last stored
 * key may be deleted.
 */
export function withConfiguredKey(keys: AdminKeyStore, configured: ConfiguredKey | undefined): AdminKeyStore {
  if (configured === undefined) return keys
  const { key, secret: expectedSecret } = configured
  // Digests have one length, so that the comparison takes the same time for every input.
  const expected = digestOf(expectedSecret)
  return {
    ...keys,
    findAdminKey: async (secret, now) =>
      timingSafeEqual(digestOf(secret), expected) ? key : keys.findAdminKey(secret, now),
    listAdminKeys: async () => [key, ...(await keys.listAdminKeys())],
    rotateAdminKey: async (id, rotation, by) =>
      id === configuredKeyId ? 'configured' : keys.rotateAdminKey(id, rotation, by),
    deleteAdminKey: async (id, by) =>
      id === configuredKeyId ? 'configured' : keys.deleteAdminKey(id, by, { mayBeLast: true }),
  }
}

/** The sessions, with those that the key from the environment, or the sign-on of the configuration, has opened. */
export function withConfiguredSessions(
  sessions: SessionStore,
  configured: ConfiguredKey | undefined,
  signOn?: SignOnBounds,
): SessionStore {
  // The cookie of a session cannot be guessed, whatever opened it.
  const key = configured && { ...configured, key: { ...configured.key, isGuessable: false } }
  const openers = { key, signOn: signOn && { issuer: signOn.issuer, groups: signOn.groups } }
  return {
    ...sessions,
    findSession: (secret, now) => sessions.findSession(secret, now, openers),
    listSessions: (now) => sessions.listSessions(now, openers),
  }
}

/** The links, with those that the key from the environment, or a person of the configured sign-on, has made. */
export function withConfiguredClaims(
  claims: ClaimStore,
  key: ConfiguredKey | undefined,
  signOn?: SignOnBounds,
): ClaimStore {
  const openers = { key, signOn: signOn && { issuer: signOn.issuer, groups: signOn.groups } }
  return {
    insertClaim: (claim, by) => claims.insertClaim(claim, by, openers),
    listClaims: (userId, now) => claims.listClaims(userId, now, openers),
    revokeClaim: (userId, id, by) => claims.revokeClaim(userId, id, by, openers),
    findClaim: (code, now) => claims.findClaim(code, now, openers),
    takeClaim: (code, by) => claims.takeClaim(code, by, openers),
  }
}

const longFrom = 32
const distinctFrom = 10

/** Long enough that guesses over a network do not find it. */
function isLong(secret: string): boolean {
  return secret.length >= longFrom && new Set(secret).size >= distinctFrom
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
