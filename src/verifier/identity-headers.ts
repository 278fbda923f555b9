import type { Admitted } from '#core/admission.ts'
import type { AdmittedUser } from '#core/admission-ask.ts'
import { remainingOf } from '#core/user-quotas.ts'

/**
 * The headers in which `/auth/verify` names the user, for the server behind the proxy. Every success has all of them,
 * empty where there is no value: the proxy overwrites the client's headers with them, so that a forged one never gets
 * past it.
 */
export const identityHeaders = [
  'X-Tollgate-User',
  'X-Tollgate-User-Type',
  'X-Tollgate-Nickname',
  'X-Tollgate-Expires-At',
  'X-Tollgate-Family',
  'X-Tollgate-Limit',
  'X-Tollgate-Remaining',
  'X-Tollgate-Reset-At',
  'X-Tollgate-Request-Id',
] as const

type IdentityHeader = (typeof identityHeaders)[number]

/** Times in epoch milliseconds. Without a limit there is neither limit nor remaining. */
export function toIdentityHeaders(
  user: AdmittedUser,
  { quota }: Pick<Admitted, 'quota'>,
  requestId: string,
): Readonly<Record<IdentityHeader, string>> {
  return {
    'X-Tollgate-User': user.id,
    'X-Tollgate-User-Type': user.type,
    'X-Tollgate-Nickname': headerText(user.nickname ?? ''),
    'X-Tollgate-Expires-At': textOf(user.expiresAt),
    'X-Tollgate-Family': headerText(quota?.family ?? ''),
    'X-Tollgate-Limit': textOf(quota?.limit),
    'X-Tollgate-Remaining': textOf(quota && remainingOf(quota)),
    'X-Tollgate-Reset-At': textOf(quota?.resetAt),
    'X-Tollgate-Request-Id': requestId,
  }
}

function textOf(value: number | undefined): string {
  return value !== undefined && Number.isFinite(value) ? String(value) : ''
}

/** Percent-encodes everything but printable ASCII, and `%` itself, so that decoding always gives the original. */
export function headerText(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]|%/gu, encodeURIComponent)
}
