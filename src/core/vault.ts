import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Secrets at rest. A separate key for each purpose is derived from the master key. Access tokens are looked up by a
 * keyed hash, because a bare hash of a guessable one could be reversed. They are also stored encrypted, because the
 * admin API's contract gives them back; the user's id is the associated data, so that the secrets of two users cannot
 * be exchanged in the database.
 */
export interface Vault {
  /** The hash by which a secret is looked up; the same secret always gives the same one. */
  readonly lookupOf: (secret: string) => string
  readonly seal: (plain: string, owner: string) => string
  /** Throws where the text was not sealed for this owner with this master key. */
  readonly unseal: (sealed: string, owner: string) => string
  /**
   * A key for one purpose, the same on every instance with this master key; it reveals nothing about the master key.
   */
  readonly keyFor: (purpose: string) => string
  /** Identifies this master key without revealing it. */
  readonly fingerprint: string
}

const algorithm = 'aes-256-gcm'
const ivLength = 12
const tagLength = 16

/** @param masterKey 32 bytes */
export function createVault(masterKey: Uint8Array): Vault {
  if (masterKey.length !== 32) throw new RangeError('the master key must be 32 bytes')
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', masterKey, '', `tollgate ${purpose} v1`, 32))
  const lookupKey = derive('lookup')
  const sealKey = derive('seal')
  return {
    fingerprint: derive('fingerprint').toString('base64url').slice(0, 16),
    keyFor: (purpose) => derive(purpose).toString('base64url'),
    lookupOf: (secret) => createHmac('sha256', lookupKey).update(secret).digest('base64url'),
    seal(plain, owner) {
      const iv = randomBytes(ivLength)
      const cipher = createCipheriv(algorithm, sealKey, iv)
      cipher.setAAD(Buffer.from(owner))
      const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return Buffer.concat([iv, body, cipher.getAuthTag()]).toString('base64')
    },
    unseal(sealed, owner) {
      const bytes = Buffer.from(sealed, 'base64')
      const decipher = createDecipheriv(algorithm, sealKey, bytes.subarray(0, ivLength))
      decipher.setAAD(Buffer.from(owner))
      decipher.setAuthTag(bytes.subarray(bytes.length - tagLength))
      const body = bytes.subarray(ivLength, bytes.length - tagLength)
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8')
    },
  }
}
