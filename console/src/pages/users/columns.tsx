import { Link } from 'wouter'
import type { User } from '#api/client.ts'
import { exact, short } from '#parts/figures.ts'
import type { Column } from '#parts/table.tsx'
import { Time } from '#parts/time.tsx'
import { Chip, nameOf, UserState } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { QuotaLine } from './quota-line.tsx'

/** The box of a row; a range with shift. */
export function selectColumn(
  users: readonly User[],
  selected: ReadonlySet<string>,
  setSelected: (ids: ReadonlySet<string>) => void,
  pick: (index: number, isRange: boolean) => void,
): Column<User> {
  const isAll = users.length > 0 && users.every(({ id }) => selected.has(id))
  return {
    key: 'select',
    head: (
      <input
        type="checkbox"
        aria-label={t.users.selectAll}
        checked={isAll}
        onChange={() => setSelected(isAll ? new Set() : new Set(users.map(({ id }) => id)))}
      />
    ),
    cell: (user) => (
      <input
        type="checkbox"
        aria-label={t.users.select(nameOf(user))}
        checked={selected.has(user.id)}
        onChange={() => {}}
        onClick={(event) => pick(users.indexOf(user), event.shiftKey)}
      />
    ),
  }
}

export const userColumns: readonly Column<User>[] = [
  {
    key: 'name',
    head: t.users.name,
    cell: (user) => (
      <div className="flex max-w-[min(320px,60vw)] flex-col gap-1">
        <Link
          href={`/users/${user.id}`}
          className="truncate font-medium text-text no-underline hover:underline"
          title={nameOf(user)}
        >
          <bdi>{user.nickname || t.users.unnamed}</bdi>
        </Link>
        <span className="flex flex-wrap gap-1">
          {user.type !== 'normal' && (
            <Chip>{user.type === 'special' ? t.users.noLimits : t.users.types[user.type]}</Chip>
          )}
          {user.tags?.map((tag) => (
            <Chip key={tag}>{tag}</Chip>
          ))}
          {!user.nickname && <span className="font-mono text-12 text-soft">{user.id}</span>}
          <span className="md:hidden">
            <UserState user={user} />
          </span>
        </span>
      </div>
    ),
  },
  { key: 'state', head: t.users.state, isExtra: true, cell: (user) => <UserState user={user} /> },
  { key: 'quota', head: t.users.quota, isExtra: true, cell: (user) => <QuotaLine user={user} /> },
  {
    key: 'prompts',
    head: t.users.prompts,
    isFigure: true,
    isExtra: true,
    cell: (user) => <span title={exact(user.promptCount)}>{short(user.promptCount)}</span>,
  },
  {
    key: 'used',
    head: t.users.lastUsed,
    isFigure: true,
    isExtra: true,
    cell: (user) => (
      <span className="whitespace-nowrap">
        <Time at={user.lastUsedAt} absent={t.users.never} />
      </span>
    ),
  },
]
