import type { User, UserEdit } from '#api/client.ts'
import { instantOf, localInput } from '#parts/figures.ts'

/** A user as the form holds it: every field a text. */
export interface Draft {
  readonly nickname: string
  readonly type: User['type']
  readonly expiresAt: string
  readonly tags: string
  readonly adminNote: string
  readonly allowedModels: string
  readonly requestsPerMinute: string
  readonly concurrentRequests: string
  readonly maxIps: string
  readonly limits: Readonly<Record<string, string>>
}

export const emptyDraft: Draft = {
  nickname: '',
  type: 'normal',
  expiresAt: '',
  tags: '',
  adminNote: '',
  allowedModels: '',
  requestsPerMinute: '',
  concurrentRequests: '',
  maxIps: '',
  limits: {},
}

const figure = (value: number | undefined) => (value === undefined ? '' : String(value))

/** @param ownLimits the user's own limits by family, as `GET …/quota` names them */
export function draftOf(user: User, ownLimits: Readonly<Record<string, number | undefined>>): Draft {
  return {
    nickname: user.nickname ?? '',
    type: user.type,
    expiresAt: localInput(user.expiresAt),
    tags: user.tags?.join(', ') ?? '',
    adminNote: user.adminNote ?? '',
    allowedModels: user.allowedModels?.join(', ') ?? '',
    requestsPerMinute: figure(user.requestsPerMinute),
    concurrentRequests: figure(user.concurrentRequests),
    maxIps: figure(user.maxIps),
    limits: Object.fromEntries(Object.entries(ownLimits).map(([family, limit]) => [family, figure(limit)])),
  }
}

const list = (text: string) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
const orNull = (text: string) => (text.trim() === '' ? null : text)
const whole = (text: string) => (text.trim() === '' ? null : Number(text))

/** What the form changed, and nothing else: what another administrator set stays. */
export function editOf(draft: Draft, before: Draft): UserEdit {
  const changed = (name: Exclude<keyof Draft, 'limits'>) => draft[name] !== before[name]
  const limits = Object.entries(draft.limits).filter(
    ([family, text]) => text !== (before.limits[family] ?? ''),
  )
  return {
    ...(changed('nickname') && { nickname: orNull(draft.nickname) }),
    ...(changed('type') && { type: draft.type }),
    ...(changed('expiresAt') && {
      expiresAt: draft.expiresAt === '' ? null : instantOf(draft.expiresAt),
    }),
    ...(changed('tags') && { tags: list(draft.tags) }),
    ...(changed('adminNote') && { adminNote: orNull(draft.adminNote) }),
    ...(changed('allowedModels') && {
      allowedModels: draft.allowedModels.trim() === '' ? null : list(draft.allowedModels),
    }),
    ...(changed('requestsPerMinute') && { requestsPerMinute: whole(draft.requestsPerMinute) }),
    ...(changed('concurrentRequests') && { concurrentRequests: whole(draft.concurrentRequests) }),
    ...(changed('maxIps') && { maxIps: whole(draft.maxIps) }),
    ...(limits.length > 0 && {
      tokenLimits: Object.fromEntries(limits.map(([family, text]) => [family, whole(text)])),
    }),
  }
}
