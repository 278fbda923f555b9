import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomFillSync } from 'node:crypto'

/**
 * Secrets at rest. A separate key for each purpose is derived from the master key. Access tokens are looked up by a
 * keyed hash, because a bare hash of a guessable one could be reversed. They are also stored encrypted, because the
 * admin API's contract gives them back; the user's id is the associated data, so that the secrets of two users cannot
 * be exchanged in the database.
 *
 * While a master key is being replaced, texts under the other one are read as well. Everything is written under the
 * present one.
 */
export interface Vault {
  /** The hash by which a secret is looked up; the same secret always gives the same one. */
  readonly lookupOf: (secret: string) => string
  /** The same under the other master key; undefined where only one is known. */
  readonly otherLookupOf: ((secret: string) => string) | undefined
  /**
   * The hash by which a secret is looked up of which only the SHA-256 is known, under a key of its own: the SHA-256 itself,
   * presented as a secret, finds nothing.
   * @param digest 64 hexadecimal digits in lower case
   */
  readonly digestLookupOf: (digest: string) => string
  readonly otherDigestLookupOf: ((digest: string) => string) | undefined
  /** Begins with the version of the key. */
  readonly seal: (plain: string, owner: string) => string
  /** Throws where the text was not sealed for this owner with one of the master keys. */
  readonly unseal: (sealed: string, owner: string) => string
  /**
   * A key for one purpose, the same on every instance with this master key; it reveals nothing about the master key.
   */
  readonly keyFor: (purpose: string) => string
  /** Identifies this master key without revealing it. */
  readonly fingerprint: string
  /** The present master key's, and the other one's. */
  readonly fingerprints: readonly string[]
  /** With what every text begins that is sealed with the present master key. */
  readonly version: string
  /** The key by which secrets are looked up under the other master key: it is kept where they cannot be hashed anew. */
  readonly otherLookupKey: string | undefined
}

/** The master keys of a process; 32 bytes each. */
export interface MasterKeys {
  readonly masterKey: Uint8Array
  /** The one before while it is being replaced, or the one to come. */
  readonly masterKeyPrevious?: Uint8Array | undefined
}

const algorithm = 'aes-256-gcm'
const ivLength = 12
const tagLength = 16
const versionLength = 6
/** No part of base64, so that a text without a version is told from one with it. */
const versionEnd = ':'

export function createVault({ masterKey, masterKeyPrevious }: MasterKeys): Vault {
  const present = deriveKeys(masterKey)
  const other = masterKeyPrevious && deriveKeys(masterKeyPrevious)
  return {
    fingerprint: present.fingerprint,
    fingerprints: [present.fingerprint, ...(other ? [other.fingerprint] : [])],
    version: present.version,
    keyFor: (purpose) => present.derive(purpose).toString('base64url'),
    lookupOf: (secret) => hashBy(present.lookupKey, secret),
    otherLookupOf: other && ((secret) => hashBy(other.lookupKey, secret)),
    digestLookupOf: (digest) => hashBy(present.digestKey, digest),
    otherDigestLookupOf: other && ((digest) => hashBy(other.digestKey, digest)),
    otherLookupKey: other?.lookupKey.toString('base64url'),
    seal: (plain, owner) => present.version + sealBy(present.sealKey, plain, owner),
    unseal(sealed, owner) {
      const end = sealed.indexOf(versionEnd) + 1
      const [version, text] = [sealed.slice(0, end), sealed.slice(end)]
      if (version === present.version) return unsealBy(present.sealKey, text, owner)
      if (other && version === other.version) return unsealBy(other.sealKey, text, owner)
      if (version !== '') throw new Error('sealed with another master key')
      // Written by a version that had one master key, which may be either of these.
      return other
        ? unsealByEither([present.sealKey, other.sealKey], text, owner)
        : unsealBy(present.sealKey, text, owner)
    },
  }
}

/**
 * A vault that remembers what it has sealed and unsealed: a text that is read again is compared with the one before, which takes a
 * tenth of the time. What is remembered stays in memory, up to a bound, and is written nowhere.
 *
 * @param keptMax how many; each takes some 300 bytes
 */
export function rememberOpened(vault: Vault, keptMax: number): Vault {
  const kept = new Map<string, { readonly sealed: string; readonly plain: string }>()
  function keep(owner: string, sealed: string, plain: string): void {
    // All at once, which is rare: to forget one for each that comes would cost more than to open it.
    if (kept.size >= keptMax && !kept.has(owner)) kept.clear()
    kept.set(owner, { sealed, plain })
  }
  return {
    ...vault,
    seal(plain, owner) {
      const sealed = vault.seal(plain, owner)
      keep(owner, sealed, plain)
      return sealed
    },
    unseal(sealed, owner) {
      const known = kept.get(owner)
      if (known?.sealed === sealed) return known.plain
      const plain = vault.unseal(sealed, owner)
      keep(owner, sealed, plain)
      return plain
    },
  }
}

/** The hashes under which a secret may be stored: under the present master key, and under the other one. */
export function lookupsOf({ lookupOf, otherLookupOf }: Vault, secret: string): readonly string[] {
  return otherLookupOf ? [lookupOf(secret), otherLookupOf(secret)] : [lookupOf(secret)]
}

/** The hashes under which the SHA-256 of a secret may be stored. */
export function digestLookupsOf(
  { digestLookupOf, otherDigestLookupOf }: Vault,
  secret: string,
): readonly string[] {
  const digest = hash('sha256', secret)
  return otherDigestLookupOf
    ? [digestLookupOf(digest), otherDigestLookupOf(digest)]
    : [digestLookupOf(digest)]
}

/** The hash of a secret by a look-up key that was kept. */
export function lookupBy(lookupKey: string, secret: string): string {
  return hashBy(Buffer.from(lookupKey, 'base64url'), secret)
}

function deriveKeys(masterKey: Uint8Array) {
  if (masterKey.length !== 32) throw new RangeError('the master key must be 32 bytes')
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', masterKey, '', `tollgate ${purpose} v1`, 32))
  const fingerprint = derive('fingerprint').toString('base64url').slice(0, 16)
  return {
    derive,
    fingerprint,
    version: fingerprint.slice(0, versionLength) + versionEnd,
    lookupKey: derive('lookup'),
    digestKey: derive('lookup by digest'),
    sealKey: derive('seal'),
  }
}

function hashBy(key: Uint8Array, secret: string): string {
  return createHmac('sha256', key).update(secret).digest('base64url')
}

const nonces = Buffer.allocUnsafe(ivLength * 256)
let nextNonce = nonces.length

/** Random bytes that are used once; they are drawn for many at a time, since a draw takes two microseconds. */
function createNonce(): Buffer {
  if (nextNonce === nonces.length) {
    randomFillSync(nonces)
    nextNonce = 0
  }
  nextNonce += ivLength
  return nonces.subarray(nextNonce - ivLength, nextNonce)
}

function sealBy(key: Uint8Array, plain: string, owner: string): string {
  const iv = createNonce()
  const cipher = createCipheriv(algorithm, key, iv)
  cipher.setAAD(Buffer.from(owner))
  const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([iv, body, cipher.getAuthTag()]).toString('base64')
}

function unsealBy(key: Uint8Array, sealed: string, owner: string): string {
  const bytes = Buffer.from(sealed, 'base64')
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivLength))
  decipher.setAAD(Buffer.from(owner))
  decipher.setAuthTag(bytes.subarray(bytes.length - tagLength))
  const body = bytes.subarray(ivLength, bytes.length - tagLength)
  return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
}

function unsealByEither(
  [first, second]: readonly [Uint8Array, Uint8Array],
  sealed: string,
  owner: string,
): string {
  try {
    return unsealBy(first, sealed, owner)
  } catch {
    return unsealBy(second, sealed, owner)
  }
}
