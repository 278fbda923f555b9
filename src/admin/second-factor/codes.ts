import { randomInt } from 'node:crypto'
import { generateSecret, generateURI, verify } from 'otplib'
import type { SecondFactor } from '#core/second-factor.ts'

const issuer = 'Tollgate'
/** A clock that is wrong by so much, and a code that was typed slowly. */
const toleranceSeconds = 30
/** The library's name for a code. */
const codeMember = 'token'

/** What a new authenticator app is given. */
export function createAppSecret(name: string): { readonly secret: string; readonly uri: string } {
  const secret = generateSecret()
  return { secret, uri: generateURI({ issuer, label: name, secret }) }
}

/** The time step of a right code, whether or not it was taken before; undefined for every other text. */
export async function stepOf(
  { secret }: SecondFactor,
  code: string,
  now: number,
): Promise<number | undefined> {
  if (!/^\d{6}$/.test(code)) return undefined
  const result = await verify({
    secret,
    [codeMember]: code,
    epoch: Math.floor(now / 1000),
    epochTolerance: toleranceSeconds,
  })
  return result.valid && 'timeStep' in result ? result.timeStep : undefined
}

const recoveryCount = 10
const recoveryLength = 16
/** Without characters that look alike. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789'

/** Codes of 79 bits, in groups for the eye. */
export function createRecoveryCodes(): readonly string[] {
  return Array.from({ length: recoveryCount }, () =>
    Array.from(
      { length: recoveryLength },
      (_, index) => (index > 0 && index % 4 === 0 ? '-' : '') + (alphabet[randomInt(alphabet.length)] ?? ''),
    ).join(''),
  )
}

/** A recovery code as it was typed. */
export function toRecoveryCode(text: string): string {
  return text.trim().toLowerCase()
}
