import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AdmissionRequest, QuotaState, UserState } from '#core/admission.ts'
import { builtInFamilies } from '#core/family.ts'
import { type AdvisorMost, outputPolicyDefault } from '#core/output-need.ts'
import { createPolicy, type PolicySettings } from '#core/policy-settings.ts'
import { decideAdmission } from './decide.ts'

const now = Date.parse('2026-11-22T12:00:00Z')
const settings: PolicySettings = {
  families: builtInFamilies,
  limits: {},
  defaults: {},
  output: { ...outputPolicyDefault, unstated: 1000 },
  timeZone: 'UTC',
}
const places = (...known: string[]) => ({ places: () => new Set(known) })
const dayMs = 86_400_000
/** Places and when each was last seen. */
const seen = (at: Readonly<Record<string, number>>) => ({
  places: (since: number) => new Set(Object.keys(at).filter((place) => (at[place] ?? 0) >= since)),
})
const user: UserState = { id: 'usr_1', type: 'normal', limits: {}, openRequests: 0, ...places() }
const quota: QuotaState = { limit: 1000, extra: 0, used: 0, reserved: 0, periodStartedAt: 0 }
const request: AdmissionRequest = {
  address: '192.0.2.1',
  units: { model: 'claude-x', family: 'claude', input: 100, output: 200, choices: 1 },
}

interface Case {
  readonly name: string
  readonly user?: Partial<UserState> | null
  readonly quota?: Partial<QuotaState>
  readonly units?: Partial<NonNullable<AdmissionRequest['units']>>
  readonly settings?: Partial<PolicySettings>
  readonly expect: string
  readonly hold?: number
  readonly cap?: number
  readonly advisor?: AdvisorMost
  readonly retryAt?: number
  readonly disables?: string
  /** Null: not known. */
  readonly address?: null
}

const cases: readonly Case[] = [
  { name: 'fits', expect: 'admitted', hold: 300 },
  { name: 'an unknown access token', user: null, expect: 'unknown_access_token' },
  { name: 'disabled this instant', user: { disabledAt: now }, expect: 'user_disabled' },
  { name: 'disabled in the future', user: { disabledAt: now + 1 }, expect: 'admitted' },
  { name: 'expired this instant', user: { expiresAt: now }, expect: 'user_expired' },
  { name: 'expiring in a moment', user: { type: 'temporary', expiresAt: now + 1 }, expect: 'admitted' },
  {
    name: 'disabled is told before expired',
    user: { disabledAt: now, expiresAt: now },
    expect: 'user_disabled',
  },
  {
    name: 'a network of its own',
    user: { limits: { allowedNetworks: ['10.0.0.0/8'] } },
    expect: 'address_not_allowed',
  },
  { name: 'inside its network', user: { limits: { allowedNetworks: ['192.0.2.0/24'] } }, expect: 'admitted' },
  {
    name: 'networks hold for special users too',
    user: { type: 'special', limits: { allowedNetworks: ['10.0.0.0/8'] } },
    expect: 'address_not_allowed',
  },
  {
    name: 'a place too many',
    user: { limits: { maxIps: 1 }, ...places('192.0.2.9') },
    expect: 'address_limit',
  },
  {
    name: 'a place that is known',
    user: { limits: { maxIps: 1 }, ...places('192.0.2.1') },
    expect: 'admitted',
  },
  {
    name: 'room for another place',
    user: { limits: { maxIps: 2 }, ...places('192.0.2.9') },
    expect: 'admitted',
  },
  { name: 'no place at all', user: { limits: { maxIps: 0 } }, expect: 'address_limit' },
  {
    name: 'places by default',
    settings: { defaults: { maxIps: 1 } },
    user: places('192.0.2.9'),
    expect: 'address_limit',
  },
  {
    name: 'special users come from anywhere',
    user: { type: 'special', limits: { maxIps: 1 }, ...places('192.0.2.9') },
    expect: 'admitted',
  },
  {
    name: 'networks by default',
    settings: { defaults: { allowedNetworks: ['10.0.0.0/8'] } },
    expect: 'address_not_allowed',
  },
  {
    name: 'networks of its own in the place of the default',
    settings: { defaults: { allowedNetworks: ['10.0.0.0/8'] } },
    user: { limits: { allowedNetworks: [] } },
    expect: 'admitted',
  },
  {
    name: 'a place that its window has left behind',
    user: { limits: { maxIps: 1, ipWindowDays: 2 }, ...seen({ '192.0.2.9': now - 2 * dayMs - 1 }) },
    expect: 'admitted',
  },
  {
    name: 'a place in its window to the millisecond',
    user: { limits: { maxIps: 1, ipWindowDays: 2 }, ...seen({ '192.0.2.9': now - 2 * dayMs }) },
    expect: 'address_limit',
  },
  {
    name: 'a window by default',
    settings: { defaults: { maxIps: 1, ipWindowDays: 2 } },
    user: seen({ '192.0.2.9': now - 3 * dayMs }),
    expect: 'admitted',
  },
  {
    name: 'a window switched off by the user',
    settings: { defaults: { maxIps: 1, ipWindowDays: 2 } },
    user: { limits: { ipWindowDays: -1 }, ...seen({ '192.0.2.9': now - 3 * dayMs }) },
    expect: 'address_limit',
  },
  {
    name: 'a place too many disables where it shall',
    user: { limits: { maxIps: 1, ipLimitAction: 'disable' }, ...places('192.0.2.9') },
    expect: 'address_limit',
    disables: 'IP address limit exceeded',
  },
  {
    name: 'and by default',
    settings: { defaults: { maxIps: 1, ipLimitAction: 'disable' } },
    user: places('192.0.2.9'),
    expect: 'address_limit',
    disables: 'IP address limit exceeded',
  },
  {
    name: 'the user’s own action goes before the default',
    settings: { defaults: { maxIps: 1, ipLimitAction: 'disable' } },
    user: { limits: { ipLimitAction: 'refuse' }, ...places('192.0.2.9') },
    expect: 'address_limit',
  },
  {
    name: 'a network that is not allowed disables no user',
    user: { limits: { allowedNetworks: ['10.0.0.0/8'], ipLimitAction: 'disable', maxIps: 0 } },
    expect: 'address_not_allowed',
  },
  {
    name: 'without a known address no rule about addresses applies',
    address: null,
    user: { limits: { allowedNetworks: ['10.0.0.0/8'], maxIps: 0 } },
    expect: 'admitted',
  },
  { name: 'no family', units: { family: undefined }, expect: 'model_not_served' },
  {
    name: 'a name that nothing names, without another limit',
    units: { isUnnamed: true },
    expect: 'admitted',
  },
  {
    name: 'a name that nothing names, beside a limit of another family',
    units: { isUnnamed: true, model: 'unknown', family: 'other' },
    settings: { families: builtInFamilies },
    user: { quotas: new Map([['turbo', quota]]) },
    expect: 'model_not_served',
  },
  {
    name: 'a name that nothing names, beside a default limit of another family',
    units: { isUnnamed: true, model: 'unknown', family: 'other' },
    settings: { families: builtInFamilies, limits: { gpt4: 0 } },
    expect: 'model_not_served',
  },
  {
    name: 'a name of a family that nothing names, beside a limit of the catch-all',
    units: { isUnnamed: true },
    settings: { families: builtInFamilies },
    user: { quotas: new Map([['other', quota]]) },
    expect: 'model_not_served',
  },
  {
    name: 'a name of a family that nothing names, beside a limit of another',
    units: { isUnnamed: true },
    settings: { families: builtInFamilies },
    user: { quotas: new Map([['turbo', quota]]) },
    expect: 'admitted',
  },
  {
    name: 'a name that nothing names, where the other limit is switched off',
    units: { isUnnamed: true },
    settings: { limits: { gpt4: 0 } },
    user: { quotas: new Map([['gpt4', { ...quota, limit: -1 }]]) },
    expect: 'admitted',
  },
  {
    name: 'a name that nothing names, of a special user',
    units: { isUnnamed: true },
    user: { type: 'special', quotas: new Map([['turbo', quota]]) },
    expect: 'admitted',
  },
  {
    name: 'a name that is known, beside a limit of another family',
    user: { quotas: new Map([['turbo', quota]]) },
    expect: 'admitted',
  },
  {
    name: 'models allowed in another case',
    user: { limits: { allowedModels: ['CLAUDE-*'] } },
    expect: 'admitted',
  },
  { name: 'models of its own', user: { limits: { allowedModels: ['gpt-*'] } }, expect: 'model_not_allowed' },
  { name: 'allowed by family', user: { limits: { allowedModels: ['claude'] } }, expect: 'admitted' },
  { name: 'an empty list allows all', user: { limits: { allowedModels: [] } }, expect: 'admitted' },
  { name: 'rate 0', user: { limits: { requestsPerMinute: 0 } }, expect: 'rate_limited' },
  {
    name: 'rate spent',
    user: { limits: { requestsPerMinute: 1 }, arrivalAt: now + 60_000 },
    expect: 'rate_limited',
    retryAt: now + 60_000,
  },
  {
    name: 'rate by default',
    settings: { defaults: { requestsPerMinute: 1 } },
    user: { arrivalAt: now + 60_000 },
    expect: 'rate_limited',
    retryAt: now + 60_000,
  },
  {
    name: 'rate switched off by the user',
    settings: { defaults: { requestsPerMinute: 1 } },
    user: { arrivalAt: now + 60_000, limits: { requestsPerMinute: -1 } },
    expect: 'admitted',
  },
  {
    name: 'concurrency spent',
    user: { limits: { concurrentRequests: 2 }, openRequests: 2 },
    expect: 'concurrency_limited',
    retryAt: now + 1000,
  },
  {
    name: 'concurrency 0: no request ends that would let another in',
    user: { limits: { concurrentRequests: 0 } },
    expect: 'concurrency_limited',
  },
  {
    name: 'concurrency left',
    user: { limits: { concurrentRequests: 2 }, openRequests: 1 },
    expect: 'admitted',
  },
  {
    name: 'special users are exempt',
    user: { type: 'special', limits: { concurrentRequests: 0, requestsPerMinute: 0 } },
    quota: { limit: 0 },
    expect: 'admitted',
    hold: 300,
  },
  { name: 'exactly what is left', quota: { used: 600, reserved: 100 }, expect: 'admitted' },
  {
    name: 'one more than is left',
    quota: { used: 601, reserved: 100 },
    expect: 'quota_exceeded',
    retryAt: now + 1000,
  },
  { name: 'within what was added', quota: { extra: 200, used: 900 }, expect: 'admitted' },
  {
    name: 'beyond what was added',
    quota: { extra: 200, used: 901 },
    expect: 'quota_exceeded',
  },
  {
    name: 'what was added to a default limit',
    settings: { limits: { claude: 200 } },
    quota: { limit: undefined as never, extra: 100 },
    expect: 'admitted',
  },
  { name: 'what was added to no limit at all', quota: { limit: -1, extra: 1 }, expect: 'admitted' },
  { name: 'what was added to a limit of 0', quota: { limit: 0, extra: 300 }, expect: 'admitted' },
  {
    name: 'what was added ended with its period',
    user: { limits: { period: 'daily' } },
    quota: { limit: 200, extra: 100, periodStartedAt: Date.parse('2026-11-21T00:00:00Z') },
    expect: 'quota_exceeded',
  },
  {
    name: 'fits only with what was added: the next period will not have it',
    user: { limits: { period: 'daily' } },
    quota: { limit: 200, extra: 200, used: 200, periodStartedAt: Date.parse('2026-11-22T00:00:00Z') },
    expect: 'quota_exceeded',
  },
  { name: 'spent without a period', quota: { used: 1000 }, expect: 'quota_exceeded' },
  { name: 'limit 0 means none', quota: { limit: 0 }, expect: 'quota_exceeded' },
  { name: 'limit -1 means unlimited', quota: { limit: -1, used: 1e12 }, expect: 'admitted' },
  {
    name: 'no limit and no default',
    quota: { limit: -1 },
    units: { output: undefined },
    expect: 'admitted',
    hold: 1100,
  },
  {
    name: 'a default limit',
    settings: { limits: { claude: 299 } },
    quota: { limit: undefined as never },
    expect: 'quota_exceeded',
  },
  {
    name: 'spent in a day, and tomorrow comes',
    user: { limits: { period: 'daily' } },
    quota: { used: 1000, periodStartedAt: Date.parse('2026-11-22T00:00:00Z') },
    expect: 'quota_exceeded',
    retryAt: Date.parse('2026-11-23T00:00:00Z'),
  },
  {
    name: 'spent yesterday',
    user: { limits: { period: 'daily' } },
    quota: { used: 1000, periodStartedAt: Date.parse('2026-11-21T00:00:00Z') },
    expect: 'admitted',
  },
  {
    name: 'reserved since yesterday still counts',
    user: { limits: { period: 'daily' } },
    quota: { used: 1000, reserved: 800, periodStartedAt: Date.parse('2026-11-21T00:00:00Z') },
    expect: 'quota_exceeded',
    retryAt: now + 1000,
  },
  {
    name: 'larger than a whole period: waiting is no help',
    user: { limits: { period: 'daily' } },
    units: { input: 5000 },
    expect: 'quota_exceeded',
  },
  {
    name: 'larger than a whole period, but for what was added to this one',
    user: { limits: { period: 'daily' } },
    quota: { used: 1500, extra: 1000, periodStartedAt: Date.parse('2026-11-22T00:00:00Z') },
    units: { input: 900 },
    expect: 'quota_exceeded',
  },
  {
    name: 'unbounded output is capped by the default',
    quota: { limit: 100_000 },
    units: { output: undefined },
    expect: 'admitted',
    hold: 1100,
    cap: 1000,
  },
  {
    name: 'unbounded output is capped by what is left',
    quota: { used: 500 },
    units: { output: undefined },
    expect: 'admitted',
    hold: 500,
    cap: 400,
  },
  {
    name: 'each choice has its share of what is left',
    quota: { used: 500 },
    units: { output: undefined, choices: 3 },
    expect: 'admitted',
    hold: 499,
    cap: 133,
  },
  {
    name: 'a bound up to the floor is held as it is',
    quota: { limit: 20_000 },
    units: { output: 8192, mayLower: true },
    expect: 'admitted',
    hold: 8292,
  },
  {
    name: 'a bound up to the floor is refused where it does not fit',
    units: { output: 901, mayLower: true },
    expect: 'quota_exceeded',
  },
  {
    name: 'a larger bound is lowered to a share of what is left',
    quota: { limit: 110_000, used: 6000, reserved: 4000 },
    units: { input: 11_500, output: 128_000, mayLower: true },
    expect: 'admitted',
    hold: 36_500,
    cap: 25_000,
  },
  {
    name: 'but not below the floor',
    quota: { limit: 30_000 },
    units: { input: 11_500, output: 128_000, mayLower: true },
    expect: 'admitted',
    hold: 19_692,
    cap: 8192,
  },
  {
    name: 'a share that does not fit beside the input becomes smaller, down to the floor',
    quota: { limit: 40_000 },
    units: { input: 31_000, output: 128_000, mayLower: true },
    expect: 'admitted',
    hold: 40_000,
    cap: 9000,
  },
  {
    name: 'the floor itself does not fit',
    quota: { limit: 19_691 },
    units: { input: 11_500, output: 128_000, mayLower: true },
    expect: 'quota_exceeded',
  },
  {
    name: 'a larger bound than the floor that the share allows',
    quota: { limit: 100_000 },
    units: { output: 10_000, mayLower: true },
    expect: 'admitted',
    hold: 10_100,
  },
  {
    name: 'each choice has its part of the share',
    quota: { limit: 200_000 },
    units: { output: 4 * 64_000, choices: 4, mayLower: true },
    expect: 'admitted',
    hold: 50_100,
    cap: 12_500,
  },
  {
    name: 'one that may not be lowered is held whole',
    quota: { limit: 100_000 },
    units: { output: 64_000 },
    expect: 'admitted',
    hold: 64_100,
  },
  {
    name: 'never lowered to what the provider refuses',
    quota: { limit: 50_000 },
    units: { output: 128_000, mayLower: true, leastCap: 32_000 },
    expect: 'admitted',
    hold: 32_100,
    cap: 32_000,
  },
  {
    name: 'refused where only what the provider refuses would fit',
    quota: { limit: 32_000 },
    units: { output: 128_000, mayLower: true, leastCap: 32_000 },
    expect: 'quota_exceeded',
  },
  {
    name: 'a smaller bound than the provider takes is for it to refuse',
    units: { output: 5, mayLower: true, leastCap: 16 },
    expect: 'admitted',
    hold: 105,
  },
  {
    // 1,300 for the answer; each use reads it and what was advised before, and writes 2,048.
    name: 'an advisor is held as often as it may be used',
    quota: { limit: 40_000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: 2, output: 2048 } },
    expect: 'admitted',
    hold: 1300 + (1300 + 2048) + (1300 + 4096),
    advisor: { uses: 2, output: 2048 },
  },
  {
    name: 'an advisor may not be used more often than a share of what is left allows',
    quota: { limit: 40_000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: 20, output: 2048 } },
    expect: 'admitted',
    hold: 1300 + (1300 + 2048) + (1300 + 4096),
    advisor: { uses: 2, output: 2048 },
  },
  {
    name: 'an advisor without bounds gets some, and is used once where the share holds no use',
    quota: { limit: 10_000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: undefined, output: undefined } },
    expect: 'admitted',
    hold: 1300 + (1300 + 2048),
    advisor: { uses: 1, output: 2048 },
  },
  {
    name: "an advisor's bound is lowered to the floor, and the answer's to a share of half of what is left",
    quota: { limit: 200_000 },
    units: { input: 1000, output: 64_000, mayLower: true, advisor: { uses: 1, output: 64_000 } },
    expect: 'admitted',
    hold: 26_000 + (26_000 + 8192),
    cap: 25_000,
    advisor: { uses: 1, output: 8192 },
  },
  {
    name: "an advisor's bound is lowered to what fits, down to the least that is taken",
    quota: { limit: 4000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: 3, output: 2048 } },
    expect: 'admitted',
    hold: 4000,
    advisor: { uses: 1, output: 1400 },
  },
  {
    name: 'an advisor that does not fit',
    quota: { limit: 3623 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: 1, output: 2048 } },
    expect: 'quota_exceeded',
  },
  {
    name: 'an advisor of absurd figures',
    quota: { limit: 1e12 },
    units: { input: 0, output: 1, mayLower: true, advisor: { uses: 1e12, output: 1 } },
    expect: 'admitted',
    advisor: { uses: 707_105, output: 1 },
  },
  {
    name: 'without a bound: the floor, where the share is less',
    quota: { limit: 20_000 },
    units: { output: undefined },
    settings: { output: outputPolicyDefault },
    expect: 'admitted',
    hold: 8292,
    cap: 8192,
  },
  {
    name: 'without a bound: the share',
    quota: { limit: 100_000 },
    units: { output: undefined },
    settings: { output: outputPolicyDefault },
    expect: 'admitted',
    hold: 25_100,
    cap: 25_000,
  },
  {
    name: 'without a bound: at most what is held for such an answer',
    quota: { limit: 1_000_000 },
    units: { output: undefined },
    settings: { output: outputPolicyDefault },
    expect: 'admitted',
    hold: 32_868,
    cap: 32_768,
  },
  {
    name: 'without a bound: at most what the provider takes for the model',
    quota: { limit: 1_000_000 },
    units: { output: undefined, mostCap: 16_384 },
    settings: { output: outputPolicyDefault },
    expect: 'admitted',
    hold: 16_484,
    cap: 16_384,
  },
  {
    name: 'without a bound and with room for a word only',
    quota: { limit: 163 },
    units: { output: undefined },
    expect: 'quota_exceeded',
  },
  {
    name: 'without a bound and with just room enough',
    quota: { limit: 164 },
    units: { output: undefined },
    expect: 'admitted',
    hold: 164,
    cap: 64,
  },
  {
    name: 'what waiting would mend: a large bound that fits a fresh period after it was lowered',
    user: { limits: { period: 'daily' } },
    quota: { limit: 30_000, used: 25_000, periodStartedAt: Date.parse('2026-11-22T00:00:00Z') },
    units: { input: 11_500, output: 128_000, mayLower: true },
    expect: 'quota_exceeded',
    retryAt: Date.parse('2026-11-23T00:00:00Z'),
  },
  {
    name: 'weights: input as its dearest kind, output by its own, rounded up together',
    settings: {
      weights: { all: { input: 0.5, cacheRead: 0.1, cacheWritten: 1.25, output: 3 }, families: {} },
    },
    units: { input: 101, output: 200 },
    expect: 'admitted',
    hold: 127 + 600,
  },
  {
    name: 'weights of a family win',
    settings: { weights: { all: { output: 9 }, families: { claude: { output: 2 } } } },
    quota: { limit: 500 },
    expect: 'admitted',
    hold: 500,
  },
  {
    name: 'weights: one unit too many',
    settings: { weights: { all: { output: 2.001 }, families: {} } },
    quota: { limit: 500 },
    expect: 'quota_exceeded',
  },
  {
    name: 'weights: a cap is the tokens for which the units are enough',
    quota: { limit: 100_000 },
    units: { input: 11_500, output: 128_000, mayLower: true },
    settings: {
      output: outputPolicyDefault,
      weights: { all: { output: 5, cacheWritten: 1.25 }, families: {} },
    },
    // The share is 5,000 tokens, so that the floor holds.
    expect: 'admitted',
    hold: 14_375 + 5 * 8192,
    cap: 8192,
  },
  {
    name: 'weights: the share buys more where output is cheap',
    quota: { limit: 100_000 },
    units: { input: 11_500, output: 128_000, mayLower: true },
    settings: { output: outputPolicyDefault, weights: { all: { output: 0.5 }, families: {} } },
    expect: 'admitted',
    hold: 11_500 + 25_000,
    cap: 50_000,
  },
  {
    name: 'weights: without a bound as many tokens as there are units for',
    settings: {
      output: outputPolicyDefault,
      weights: { all: { output: 3, input: 0.1, cacheRead: 0, cacheWritten: 0 }, families: {} },
    },
    units: { output: undefined },
    expect: 'admitted',
    // 330 tokens for the 990 units beside the input.
    hold: 1000,
    cap: 330,
  },
  {
    name: 'weights: free output is not lowered',
    settings: { output: outputPolicyDefault, weights: { all: { output: 0 }, families: {} } },
    units: { output: 128_000, mayLower: true },
    quota: { used: 900 },
    expect: 'admitted',
    hold: 100,
  },
  {
    name: 'weights: free output does not make room for input',
    settings: { output: outputPolicyDefault, weights: { all: { output: 0 }, families: {} } },
    units: { output: 128_000, mayLower: true },
    quota: { used: 901 },
    expect: 'quota_exceeded',
  },
  {
    name: 'weights: what is free needs no quota',
    settings: {
      weights: { all: {}, families: { claude: { input: 0, cacheRead: 0, cacheWritten: 0, output: 0 } } },
    },
    quota: { limit: 0 },
    expect: 'admitted',
    hold: 0,
  },
  {
    name: 'weights hold where there is no limit, too',
    settings: { limits: { claude: -1 }, weights: { all: { output: 2.5 }, families: {} } },
    quota: { limit: -1 },
    units: { output: undefined },
    expect: 'admitted',
    hold: 100 + 2500,
  },
  {
    name: 'weights: output that nothing bounds, held beside the input, counts as output',
    settings: { weights: { all: { output: 4 }, families: {} } },
    units: { input: 150, outputAmongInput: 50, output: 0 },
    expect: 'admitted',
    hold: 100 + 200,
  },
  {
    // 1,300 for the answer at 1,000 / 2 + 300 * 4; each use reads at a half and writes at four.
    name: 'weights: an advisor reads as input and writes as output',
    quota: { limit: 80_000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: 2, output: 2048 } },
    settings: {
      weights: { all: { input: 0.5, cacheRead: 0.5, cacheWritten: 0.5, output: 4 }, families: {} },
    },
    expect: 'admitted',
    hold: 1700 + (650 + 8192) + (650 + 1024 + 8192),
    advisor: { uses: 2, output: 2048 },
  },
  {
    name: 'weights: an advisor that costs nothing is bounded all the same',
    settings: { weights: { all: { input: 0, cacheRead: 0, cacheWritten: 0, output: 0 }, families: {} } },
    units: { mayLower: true, advisor: { uses: undefined, output: undefined } },
    expect: 'admitted',
    hold: 0,
    advisor: { uses: 1000, output: 2048 },
  },
  {
    name: 'weights: an advisor that reads for nothing',
    settings: { weights: { all: { input: 0, cacheRead: 0, cacheWritten: 0, output: 1 }, families: {} } },
    quota: { limit: 20_000 },
    units: { input: 1000, output: 300, mayLower: true, advisor: { uses: undefined, output: 1024 } },
    expect: 'admitted',
    hold: 300 + 4 * 1024,
    advisor: { uses: 4, output: 1024 },
  },
  {
    name: 'nothing left for any output',
    quota: { used: 900 },
    units: { output: undefined },
    expect: 'quota_exceeded',
  },
  {
    name: 'no output at all (embeddings)',
    quota: { used: 900 },
    units: { output: 0 },
    expect: 'admitted',
    hold: 100,
  },
]

describe('decideAdmission', () => {
  for (const one of cases) {
    it(one.name, () => {
      const state = one.user === null ? undefined : { ...user, ...one.user }
      const { limit, ...rest } = { ...quota, ...one.quota }
      const stored: QuotaState = limit === undefined ? rest : { ...rest, limit }
      const asked = {
        address: one.address === null ? undefined : request.address,
        ...(request.units && { units: { ...request.units, ...one.units } }),
      }
      const decision = decideAdmission(
        state,
        stored,
        asked,
        createPolicy({ ...settings, ...one.settings }),
        now,
      )
      assert.equal(decision.kind === 'admitted' ? 'admitted' : decision.code, one.expect)
      if (decision.kind === 'admitted') {
        if (one.hold !== undefined) assert.equal(decision.hold, one.hold)
        assert.equal(decision.outputCap, one.cap)
        assert.deepEqual(decision.advisorMost, one.advisor)
      } else {
        assert.equal(decision.retryAt, one.retryAt)
        assert.equal(decision.disables, one.disables)
        assert.ok(decision.message.length > 10)
      }
    })
  }

  it('without units asks only whether the holder may come in, whatever is spent', () => {
    const spent = { ...user, openRequests: 99, limits: { concurrentRequests: 1, requestsPerMinute: 0 } }
    const policy = createPolicy(settings)
    assert.equal(decideAdmission(spent, undefined, { address: '192.0.2.1' }, policy, now).kind, 'admitted')
    assert.equal(
      decideAdmission({ ...spent, disabledAt: 1 }, undefined, { address: '192.0.2.1' }, policy, now).kind,
      'refused',
    )
  })

  it('says in numbers what is used, reserved and allowed', () => {
    const decision = decideAdmission(
      user,
      { ...quota, used: 900, reserved: 50 },
      request,
      createPolicy(settings),
      now,
    )
    assert.equal(decision.kind, 'refused')
    if (decision.kind !== 'refused') return
    assert.deepEqual(decision.quota, {
      family: 'claude',
      used: 900,
      reserved: 50,
      limit: 1000,
      extra: 0,
      resetAt: Infinity,
    })
    assert.match(decision.message, /claude.*300 units \(200 of them for the output.*900 of 1000.*50 reserved/)
  })

  it('says when the quota resets only where that would help, and what a provider asks for', () => {
    const daily = { ...user, limits: { period: 'daily' as const } }
    const askFor = (units: Partial<NonNullable<AdmissionRequest['units']>>) => {
      const asked = { address: undefined, units: { ...(request.units ?? assert.fail()), ...units } }
      const decision = decideAdmission(daily, quota, asked, createPolicy(settings), now)
      return decision.kind === 'refused' ? decision : assert.fail('it was admitted')
    }
    const advised = askFor({
      input: 100,
      output: 500,
      mayLower: true,
      advisor: { uses: 5, output: undefined },
    })
    assert.match(
      advised.message,
      /use of its advisor, which reads the conversation, 1624 .* remove the advisor/,
    )
    const never = askFor({ output: 5000, mayLower: true })
    assert.doesNotMatch(never.message, /from zero|2026/)
    assert.equal(never.limit?.resetAt, undefined)
    assert.deepEqual([never.limit?.needed, never.limit?.neededOutput], [5100, 5000])
    const thinking = askFor({ output: 64_000, mayLower: true, leastCap: 32_000 })
    assert.match(thinking.message, /takes no bound below 32000/)
    assert.equal(thinking.limit?.neededOutput, 32_000)
  })

  it('lets three of an agent that asks for 128,000 run at once on 100,000 units', () => {
    const policy = createPolicy({ ...settings, output: outputPolicyDefault })
    const asked = {
      address: undefined,
      units: { ...(request.units ?? assert.fail()), input: 11_500, output: 128_000, mayLower: true },
    }
    let reserved = 0
    const caps = [1, 2, 3].map(() => {
      const decision = decideAdmission(user, { ...quota, limit: 100_000, reserved }, asked, policy, now)
      if (decision.kind === 'refused') return assert.fail(decision.message)
      reserved += decision.hold
      return decision.outputCap
    })
    assert.deepEqual(caps, [25_000, 15_875, 9031])
    assert.ok(reserved <= 100_000)
  })

  it('asks for the places only where their number is limited', () => {
    const unasked = { ...user, places: () => assert.fail('the places were read') }
    assert.equal(decideAdmission(unasked, quota, request, createPolicy(settings), now).kind, 'admitted')
  })

  it('says which limit refused, and how it stands', () => {
    const limitOf = (changes: Partial<UserState>, stored: Partial<QuotaState> = {}) => {
      const state = { ...user, ...changes }
      const decision = decideAdmission(state, { ...quota, ...stored }, request, createPolicy(settings), now)
      return decision.kind === 'refused' ? decision.limit : assert.fail('it was admitted')
    }
    assert.deepEqual(limitOf({}, { used: 900, reserved: 50, extra: 10 }), {
      name: 'quota',
      family: 'claude',
      limit: 1010,
      used: 900,
      reserved: 50,
      needed: 300,
      neededOutput: 200,
    })
    const daily = limitOf({ limits: { period: 'daily' } }, { limit: 300, used: 200, periodStartedAt: now })
    assert.equal(daily?.resetAt, Date.parse('2026-11-23T00:00:00Z'))
    assert.deepEqual(limitOf({ limits: { requestsPerMinute: 1 }, arrivalAt: now + 60_000 }), {
      name: 'requestsPerMinute',
      limit: 1,
      used: 1,
      resetAt: now + 60_000,
    })
    assert.deepEqual(limitOf({ limits: { concurrentRequests: 2 }, openRequests: 3 }), {
      name: 'concurrentRequests',
      limit: 2,
      used: 3,
    })
    assert.deepEqual(limitOf({ limits: { maxIps: 2 }, ...places('192.0.2.8', '192.0.2.9') }), {
      name: 'maxIps',
      limit: 2,
      used: 2,
    })
    assert.equal(limitOf({ disabledAt: now }), undefined)
  })
})

describe('models that a request may reach beside its own', () => {
  const reach = (models: readonly (readonly [string, string | undefined])[], isOpen = false) => ({
    models: models.map(([model, family]) => ({ model, family })),
    isOpen,
  })
  const ofGpt4 = new Map<string, QuotaState>([['gpt4', { ...quota, limit: 5000 }]])
  const sameFamily = reach([['claude-y', 'claude']])
  const otherFamily = reach([['gpt-4o', 'gpt4']])
  const open = reach([], true)
  const allowed = (...allowedModels: readonly string[]) => ({ limits: { allowedModels } })
  const cases: readonly (readonly [string, ReturnType<typeof reach>, Partial<UserState>, string])[] = [
    ['of the same family', sameFamily, {}, 'admitted'],
    ['of no family', reach([['llama', undefined]]), {}, 'model_not_served'],
    ['not in the list', sameFamily, allowed('claude-x'), 'model_not_allowed'],
    ['in the list', sameFamily, allowed('claude-*'), 'admitted'],
    ['of another family without a limit', otherFamily, {}, 'admitted'],
    ['of another family with a limit', otherFamily, { quotas: ofGpt4 }, 'model_not_allowed'],
    ['of another family, by a special user', otherFamily, { quotas: ofGpt4, type: 'special' }, 'admitted'],
    ['not named', open, {}, 'admitted'],
    ['not named, with a list', open, allowed('claude-*'), 'model_not_allowed'],
    ['not named, with a limit of another family', open, { quotas: ofGpt4 }, 'model_not_allowed'],
    ['not named, by a special user', open, { quotas: ofGpt4, type: 'special' }, 'admitted'],
  ]
  for (const [name, elsewhere, changes, expected] of cases) {
    it(name, () => {
      const asked = { ...request, units: { ...(request.units ?? assert.fail()), elsewhere } }
      const decision = decideAdmission({ ...user, ...changes }, quota, asked, createPolicy(settings), now)
      assert.equal(decision.kind === 'admitted' ? 'admitted' : decision.code, expected)
    })
  }

  it('by the default limit of another family', () => {
    const asked = { ...request, units: { ...(request.units ?? assert.fail()), elsewhere: otherFamily } }
    const policy = createPolicy({ ...settings, limits: { gpt4: 9 } })
    assert.equal(decideAdmission(user, quota, asked, policy, now).kind, 'refused')
  })
})

interface PassCase {
  readonly name: string
  readonly pass: NonNullable<AdmissionRequest['pass']>
  readonly user?: Partial<UserState>
  readonly quota?: Partial<QuotaState>
  readonly expect: string
  readonly retryAt?: number
}

const claude = { model: 'claude-x', family: 'claude' }
const passes: readonly PassCase[] = [
  { name: 'a model', pass: claude, expect: 'admitted' },
  { name: 'a family without a model', pass: { family: 'claude' }, expect: 'admitted' },
  { name: 'neither: only rate and requests at once', pass: {}, quota: { used: 1000 }, expect: 'admitted' },
  { name: 'a model of no family', pass: { model: 'llama-3' }, expect: 'model_not_served' },
  {
    name: 'a model that is not allowed',
    pass: claude,
    user: { limits: { allowedModels: ['gpt-*'] } },
    expect: 'model_not_allowed',
  },
  {
    name: 'a family that is not allowed',
    pass: { family: 'claude' },
    user: { limits: { allowedModels: ['gpt-*'] } },
    expect: 'model_not_allowed',
  },
  { name: 'a unit is left', pass: claude, quota: { used: 999 }, expect: 'admitted' },
  { name: 'none is left', pass: claude, quota: { used: 1000 }, expect: 'quota_exceeded' },
  {
    name: 'the last ones are reserved',
    pass: claude,
    quota: { used: 900, reserved: 100 },
    expect: 'quota_exceeded',
    retryAt: now + 1000,
  },
  { name: 'what was added is left', pass: claude, quota: { used: 1000, extra: 1 }, expect: 'admitted' },
  {
    name: 'the rate is spent',
    pass: {},
    user: { limits: { requestsPerMinute: 1 }, arrivalAt: now + 60_000 },
    expect: 'rate_limited',
    retryAt: now + 60_000,
  },
  {
    name: 'too many at once',
    pass: {},
    user: { limits: { concurrentRequests: 1 }, openRequests: 1 },
    expect: 'concurrency_limited',
    retryAt: now + 1000,
  },
  {
    name: 'special users pass',
    pass: claude,
    user: { type: 'special', limits: { requestsPerMinute: 0, concurrentRequests: 0 } },
    quota: { limit: 0 },
    expect: 'admitted',
  },
  { name: 'disabled', pass: claude, user: { disabledAt: now }, expect: 'user_disabled' },
]

describe('a request that another gateway serves', () => {
  for (const one of passes) {
    it(one.name, () => {
      const state = { ...user, ...one.user }
      const asked = { address: '192.0.2.1', pass: one.pass }
      const decision = decideAdmission(state, { ...quota, ...one.quota }, asked, createPolicy(settings), now)
      assert.equal(decision.kind === 'admitted' ? 'admitted' : decision.code, one.expect)
      if (decision.kind === 'refused') assert.equal(decision.retryAt, one.retryAt)
      else assert.equal(decision.hold, 0, 'nothing is reserved')
    })
  }

  it('counts towards the rate', () => {
    const state = { ...user, limits: { requestsPerMinute: 2 } }
    const asked = { address: undefined, pass: {} }
    const decision = decideAdmission(state, undefined, asked, createPolicy(settings), now)
    assert.equal(decision.kind === 'admitted' && decision.arrivalAt, now + 30_000)
  })
})
