import { namedBy } from '#admin/transfer/wire.ts'
import { present } from '#lib/present.ts'
import {
  budgetMembers,
  type Convert,
  isConversion,
  isTrue,
  nicknameOf,
  numberOf,
  textOf,
  wrong,
} from './source.ts'

/** Of one-api and new-api: so many units of its quota are a dollar. */
const unitsOfDollar = 500_000

const enabled = 1
const disabled = 2

/**
 * The list of tokens of one-api, of new-api, and of what was made from them. A key stands there without the `sk-` that
 * its holder sends; times are seconds, -1 means never; the quota is money.
 */
export const fromOneApi: Convert = (record, parts) => {
  const key = textOf(record.key)
  if (key === undefined) return wrong('key', 'is required: it names the user')
  if (key.includes('*'))
    return wrong('key', 'is masked: export the keys in full, from the table of tokens of the database')
  const spent = (numberOf(record.used_quota) ?? 0) / unitsOfDollar
  const left = (numberOf(record.remain_quota) ?? 0) / unitsOfDollar
  const max = isTrue(record.unlimited_quota) ? undefined : Math.max(0, left) + spent
  const budget = budgetMembers({ max, spent, path: 'remain_quota' }, parts)
  if (isConversion(budget)) return budget
  const usedAt = secondsOf(record.accessed_time)
  const createdAt = secondsOf(record.created_time)
  const group = textOf(record.group)
  const isLimited = record.model_limits_enabled === undefined || isTrue(record.model_limits_enabled)
  const models = listOf(record.models ?? (isLimited ? record.model_limits : undefined))
  const networks = listOf(record.allow_ips ?? record.subnet)
  const status = numberOf(record.status) ?? enabled
  return {
    kind: 'user',
    user: namedBy(key.startsWith('sk-') ? key : `sk-${key}`, {
      ...present({
        nickname: nicknameOf(record.name),
        createdAt,
        lastUsedAt: usedAt,
        expiresAt: secondsOf(record.expired_time),
        allowedModels: models,
        allowedNetworks: networks,
        tags: group === undefined ? undefined : [group.replaceAll(',', ' ').trim()],
        meta: present({ id: numberOf(record.id), userId: numberOf(record.user_id) }),
      }),
      ...(status === disabled && {
        disabledAt: usedAt ?? createdAt ?? 0,
        disabledReason: 'disabled before the import',
      }),
      ...budget,
    }),
  }
}

/** 0 and -1 mean never. */
function secondsOf(value: unknown): number | undefined {
  const seconds = numberOf(value) ?? 0
  return seconds > 0 ? Math.round(seconds) * 1000 : undefined
}

/** A list with commas, or one a line; undefined where it is empty, which allows everything. */
function listOf(value: unknown): readonly string[] | undefined {
  const items = (textOf(value) ?? '').split(/[,\n]/).map((item) => item.trim())
  const named = [...new Set(items.filter((item) => item !== ''))]
  return named.length > 0 ? named : undefined
}
