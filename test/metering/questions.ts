import assert from 'node:assert/strict'
import type { AdmissionAsk } from '#core/admission-ask.ts'
import type { Settlement } from '#core/settlement.ts'
import type { Usage } from '#core/usage.ts'
import type { UsageEvent } from '#core/usage-event.ts'
import type { UserEdit } from '#core/user-edit.ts'
import type { Store } from '#storage/store.ts'
import { by } from '../support/by.ts'

/** Questions to the account, as the tests of metering ask them. */
export const now = Date.parse('2026-11-22T12:00:00Z')

export function ask(
  requestId: string,
  accessToken: string,
  units: Partial<NonNullable<AdmissionAsk['units']>> = {},
): AdmissionAsk {
  return {
    requestId,
    accessToken,
    address: '192.0.2.1',
    route: '/v1/messages',
    isMetered: true,
    units: { model: 'claude-x', family: 'claude', input: 10, output: 90, choices: 1, ...units },
  }
}

export function settlement(
  requestId: string,
  usage: Partial<Usage> = {},
  more: Partial<Settlement> = {},
): Settlement {
  return {
    requestId,
    ending: 'settled',
    usage: { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0, ...usage },
    isEstimated: false,
    status: 200,
    durationMs: 5,
    ...more,
  }
}

export async function newUser(
  store: Store,
  limit?: number,
  edit: UserEdit = {},
): Promise<{ id: string; accessToken: string }> {
  const made = await store.users.insertUser(
    { ...(limit !== undefined && { quotaLimits: { claude: limit } }), ...edit },
    by(now),
  )
  return made.kind === 'created' ? made.user : assert.fail()
}

export async function quotaOf(store: Store, id: string, at = now) {
  const quota = (await store.users.findUser({ id }, at))?.quotas.get('claude')
  if (!quota) return undefined
  const { extra: _, openRequests: __, ...rest } = quota
  return rest
}

export function usageEvent(eventId: string, userId: string, usage: Partial<Usage> = {}): UsageEvent {
  return {
    eventId,
    requestId: `evt_${eventId}_${Math.random()}`,
    userId,
    route: '/usage',
    family: 'claude',
    model: 'claude-x',
    usage: { input: 0, cacheRead: 0, cacheWritten: 0, output: 0, reasoning: 0, ...usage },
    isEstimated: false,
    status: 200,
  }
}
