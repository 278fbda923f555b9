import type { AdminContext } from '#admin/request/context.ts'
import { type HostCookie, readHostCookie, setHostCookie } from '#admin/request/host-cookie.ts'
import type { ClientAddress } from '#http/client-address.ts'
import { pendingMs } from './pending.ts'

/** `Lax`, since the provider's redirect brings the browser back. */
const cookie: HostCookie = { bareName: 'tollgate-sign-on', sameSite: 'Lax' }

export function readPendingCookie(c: AdminContext, clientAddress: ClientAddress): string | undefined {
  return readHostCookie(c, clientAddress, cookie)
}

export function pendingCookie(c: AdminContext, clientAddress: ClientAddress, value: string): string {
  return setHostCookie(c, clientAddress, cookie, { value, endsInMs: pendingMs })
}

export function endedPendingCookie(c: AdminContext, clientAddress: ClientAddress): string {
  return setHostCookie(c, clientAddress, cookie, { value: '', endsInMs: 0 })
}
