import type { User } from '#api/client.ts'
import { t } from '#words/words.ts'
import { ago } from './figures.ts'

const day = 86_400_000
const tones = {
  plain: 'bg-quiet text-soft',
  good: 'bg-accent-quiet text-accent',
  soon: 'bg-soon-quiet text-soon',
  stop: 'bg-stop-quiet text-stop',
}

export function Chip({ tone = 'plain', children }: { tone?: keyof typeof tones; children: React.ReactNode }) {
  return (
    <span
      title={typeof children === 'string' ? children : undefined}
      dir="auto"
      className={`inline-block max-w-64 truncate rounded-6 px-2 text-12 leading-5 align-middle ${tones[tone]}`}
    >
      {children}
    </span>
  )
}

/** The state as a word, never only as a colour. */
export function UserState({ user, now = Date.now() }: { user: User; now?: number }) {
  if (user.disabledAt !== undefined)
    return (
      <Chip tone="stop">
        {user.disabledReason ? t.user.disabledBecause(user.disabledReason) : t.user.disabled}
      </Chip>
    )
  if (user.expiresAt !== undefined && user.expiresAt <= now) return <Chip tone="stop">{t.user.expired}</Chip>
  if (user.expiresAt !== undefined)
    return (
      <Chip tone={user.expiresAt - now < 7 * day ? 'soon' : 'plain'}>
        {t.user.expiresIn(ago(user.expiresAt, now))}
      </Chip>
    )
  return <Chip tone="good">{t.user.active}</Chip>
}

export const nameOf = (user: Pick<User, 'nickname' | 'id'>) => user.nickname?.trim() || user.id
