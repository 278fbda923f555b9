import type { Policy } from './admission.ts'
import { familyNames } from './family.ts'
import { pickLimits } from './limits.ts'
import type { User } from './user.ts'
import { isShown } from './user-quotas.ts'

/**
 * A user as JSON text, in the form of the admin API. Lists of users are written where their rows are read: a hundred
 * thousand objects that are made for their text alone, and handed from one thread to the next, take most of the time. A
 * test holds the text to the form that a single user is answered in.
 *
 * @param shown the access token as it may be shown, in clear or masked
 */
export type UserText = (user: User, shown: string) => string

const quote = JSON.stringify

export function createUserText(policy: Pick<Policy, 'families' | 'limits'>): UserText {
  const hidden = new Set(
    policy.families.flatMap(({ name, isShownOnceUsed }) => (isShownOnceUsed ? [name] : [])),
  )
  const families = familyNames(policy.families).map((name) => ({
    name,
    key: `${quote(name)}:`,
    mayBeHidden: hidden.has(name),
  }))

  return (user, shown) => {
    let limits = ''
    let counts = ''
    for (const { name, key, mayBeHidden } of families) {
      if (mayBeHidden && !isShown(name, user, policy)) continue
      const quota = user.quotas.get(name)
      if (quota?.limit !== undefined) limits += `${limits === '' ? '' : ','}${key}${quota.limit}`
      counts += `${counts === '' ? '' : ','}${key}${quota?.used ?? 0}`
    }
    const addresses = user.addresses.length === 0 ? '[]' : quote(user.addresses)
    return `{"token":${quote(shown)},"id":${quote(user.id)},"ip":${addresses},"type":"${user.type}","promptCount":${user.promptCount},"tokenLimits":{${limits}},"tokenCounts":{${counts}},"createdAt":${user.createdAt}${optionalOf(user)}}`
  }
}

function optionalOf(user: User): string {
  let text = ''
  if (user.nickname !== undefined) text += `,"nickname":${quote(user.nickname)}`
  if (user.lastUsedAt !== undefined) text += `,"lastUsedAt":${user.lastUsedAt}`
  if (user.disabledAt !== undefined) text += `,"disabledAt":${user.disabledAt}`
  if (user.disabledReason !== undefined) text += `,"disabledReason":${quote(user.disabledReason)}`
  if (user.expiresAt !== undefined) text += `,"expiresAt":${user.expiresAt}`
  for (const [name, value] of Object.entries(pickLimits(user.limits))) text += `,"${name}":${quote(value)}`
  if (user.adminNote !== undefined) text += `,"adminNote":${quote(user.adminNote)}`
  if (user.tags !== undefined) text += `,"tags":${quote(user.tags)}`
  if (user.meta !== undefined) text += `,"meta":${quote(user.meta)}`
  return text
}
