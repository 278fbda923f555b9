import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '#core/clock.ts'
import { personLengthMax } from '#core/front-end.ts'
import { makeRoom } from '#lib/make-room.ts'
import { type Name, nameFrom, wrongName } from './name.ts'

/** Verifies the tokens in which a front end signs for whom it asks (JWS with HMAC SHA-256, RFC 7519). */
export interface SignedNames {
  /** At once where the same token was verified before and has not ended. */
  readonly read: (text: string, key: Uint8Array) => Name | Promise<Name>
  readonly count: () => number
}

interface Verified {
  readonly key: Uint8Array
  readonly name: Name
  /** Epoch milliseconds. */
  readonly endsAt: number
}

/** A token is some 300 bytes. */
const keptMax = 10_000
const textLengthMax = 8_192
/** How far the clocks of the two programs may differ. */
const toleranceSeconds = 30

export function createSignedNames(clock: Clock): SignedNames {
  const kept = new Map<string, Verified>()

  async function verify(text: string, key: Uint8Array): Promise<Name> {
    try {
      const { payload } = await jwtVerify(text, key, {
        // Of the algorithms that a token may name for itself, only this one: no other key is shared.
        algorithms: ['HS256'],
        requiredClaims: ['sub', 'exp'],
        clockTolerance: toleranceSeconds,
        currentDate: new Date(clock()),
      })
      const name = nameIn(payload)
      if (name.kind === 'named') {
        makeRoom(kept, keptMax)
        kept.set(text, { key, name, endsAt: ((payload.exp ?? 0) + toleranceSeconds) * 1000 })
      }
      return name
    } catch (error) {
      return wrongName(reasonOf(error))
    }
  }

  return {
    read(text, key) {
      if (text.length > textLengthMax) return wrongName('The token of the person is too long.')
      const known = kept.get(text)
      if (known === undefined) return verify(text, key)
      // The key is that of one version of one front end's settings.
      if (known.key === key && known.endsAt > clock()) return known.name
      kept.delete(text)
      return verify(text, key)
    },
    count: () => kept.size,
  }
}

function nameIn({ sub, email, name }: JWTPayload): Name {
  const shown = [email, name].find((text) => typeof text === 'string' && text.trim() !== '')
  const named = nameFrom(sub ?? '', typeof shown === 'string' ? shown.slice(0, personLengthMax) : undefined)
  // A token that names no person is a wrong one, and no request of the front end's own.
  return named.kind === 'none' ? wrongName('The token of the person has no valid "sub" claim.') : named
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token of the person has expired.'
  if (error instanceof errors.JWTClaimValidationFailed)
    return `The token of the person has no valid ${error.claim === 'unspecified' ? 'claims' : `"${error.claim}"`}.`
  return 'The token of the person is not one that this front end has signed.'
}
