import { z } from '@hono/zod-openapi'
import type { AdminContext } from '#admin/request/context.ts'
import { addressOf } from '#admin/request/trace.ts'
import { parseAddress } from '#core/network.ts'
import type { ClientAddress } from '#http/client-address.ts'

/** The caller's address as it is seen here, and that of the connection. */
export const callerAddressFields = {
  address: z.string().openapi({
    description:
      'The caller’s address as it counts here, in `allowedNetworks`, throttles and the log: that of the connection, or ' +
      'the one that a trusted proxy wrote into `X-Forwarded-For`. `unknown` where the connection has none.',
  }),
  peer: z.string().openapi({
    description:
      'The address of the connection itself. Where a proxy of yours has it, and `address` is the same, add it to ' +
      '`TRUSTED_PROXIES`.',
  }),
}

export function callerAddressOf(c: AdminContext, clientAddress: ClientAddress) {
  const remote = c.env?.incoming?.socket.remoteAddress
  const peer = (remote !== undefined && parseAddress(remote)) || 'unknown'
  return { address: addressOf(c, clientAddress), peer }
}
