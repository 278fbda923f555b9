import { useEffect, useMemo, useRef, useState } from 'react'
import { useLocation } from 'wouter'
import type { User } from '#api/client.ts'
import { useMay } from '#api/session.ts'
import { useAddressState } from '#parts/address-state.ts'
import { Button, ButtonLink } from '#parts/button.tsx'
import { Filter } from '#parts/field.tsx'
import { exact } from '#parts/figures.ts'
import { useKeys } from '#parts/keys.ts'
import { More } from '#parts/more.tsx'
import { Empty, Failed, Page, Pending } from '#parts/page.tsx'
import { type Column, Table } from '#parts/table.tsx'
import { t } from '#words/words.ts'
import { BulkBar } from './bulk-bar.tsx'
import { selectColumn, userColumns } from './columns.tsx'
import { filterNames, type UserFilter, useUsers } from './query.ts'

const views: readonly (readonly [name: keyof typeof t.users.saved, filter: Partial<UserFilter>])[] = [
  ['all', {}],
  ['active', { state: 'active' }],
  ['near', { usedPercent: '80' }],
  ['temporary', { type: 'temporary' }],
  ['disabled', { state: 'disabled' }],
  ['expired', { state: 'expired' }],
  ['many', { addresses: '5' }],
]
const defaultSort = '-createdAt'

export function Users() {
  const [get, set] = useAddressState()
  const may = useMay()
  const [, go] = useLocation()
  const [q, tag] = [get('q'), get('tag')]
  const filter = useMemo(
    () => Object.fromEntries(filterNames.map((name) => [name, get(name)])) as UserFilter,
    [get],
  )
  const sort = get('sort') || defaultSort
  const list = useUsers(filter, sort)
  const users = useMemo(() => list.data?.pages.flatMap(({ users }) => users) ?? [], [list.data])
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [at, setAt] = useState(-1)
  const search = useRef<HTMLInputElement>(null)
  const lastPicked = useRef('')
  // The filter whose matches are all chosen, as a text; another filter is another choice.
  const [chosenFilter, setChosenFilter] = useState('')
  const isFiltered = filterNames.some((name) => filter[name] !== '')
  const mayWrite = may('users:write')

  function choose(ids: ReadonlySet<string>) {
    setChosenFilter('')
    setSelected(ids)
  }

  function pick(index: number, isRange: boolean) {
    // By id: the rows move while one looks.
    const last = isRange ? users.findIndex(({ id }) => id === lastPicked.current) : -1
    const [from, to] = last < 0 ? [index, index] : [Math.min(last, index), Math.max(last, index)]
    const id = users[index]?.id ?? ''
    const isAdded = !selected.has(id)
    const next = new Set(selected)
    for (const user of users.slice(from, to + 1)) {
      if (isAdded) next.add(user.id)
      else next.delete(user.id)
    }
    lastPicked.current = id
    choose(next)
  }

  useKeys({
    '/': () => search.current?.focus(),
    n: () => mayWrite && go('/users/new'),
    j: () => setAt((now) => Math.min(users.length - 1, now + 1)),
    k: () => setAt((now) => Math.max(0, now - 1)),
    x: () => at >= 0 && mayWrite && pick(at, false),
    Enter: () => users[at] && go(`/users/${users[at].id}`),
  })
  useEffect(() => {
    document.querySelector('tr[aria-current]')?.scrollIntoView({ block: 'nearest' })
  }, [at])

  const clear = () => set(Object.fromEntries(filterNames.map((name) => [name, ''])))
  const first = list.data?.pages[0]
  const filterText = JSON.stringify(filter)
  const isAllShown = selected.size === users.length && users.every(({ id }) => selected.has(id))
  const canChooseMore = isFiltered && isAllShown && list.hasNextPage && !list.isPlaceholderData
  const isMatching = canChooseMore && chosenFilter === filterText
  const total = first?.total
  const columns: readonly Column<User>[] = [
    ...(mayWrite ? [selectColumn(users, selected, choose, pick)] : []),
    ...userColumns,
  ]
  return (
    <Page
      title={t.users.title}
      actions={
        mayWrite && (
          <ButtonLink look="main" href="/users/new">
            {t.users.create}
          </ButtonLink>
        )
      }
    >
      <div className="mb-3 flex flex-wrap gap-1" role="group" aria-label={t.users.views}>
        {views.map(([name, view]) => {
          const isOn = filterNames.every(
            (one) => one === 'q' || one === 'tag' || filter[one] === (view[one] ?? ''),
          )
          return (
            <button
              key={name}
              type="button"
              aria-pressed={isOn}
              onClick={() =>
                set(
                  Object.fromEntries(
                    filterNames
                      .filter((one) => one !== 'q' && one !== 'tag')
                      .map((one) => [one, view[one] ?? '']),
                  ),
                )
              }
              className="rounded-full border border-line bg-transparent px-3 py-1 text-13 text-text hover:bg-quiet aria-pressed:border-accent aria-pressed:bg-accent-quiet aria-pressed:text-accent"
            >
              {t.users.saved[name]}
            </button>
          )
        })}
      </div>
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <SearchBox ref={search} value={q} onSearch={(text) => set({ q: text })} />
        {tag && (
          <Button onClick={() => set({ tag: '' })} title={t.act.clear}>
            {t.users.tag}: <span className="max-w-40 truncate">{tag}</span> ✕
          </Button>
        )}
        <Filter
          label={t.users.sort}
          value={sort}
          options={Object.entries(t.users.sorts)}
          onPick={(value) => set({ sort: value === defaultSort ? '' : value })}
        />
        {first && (
          <span className="ms-auto text-13 text-soft">
            {t.users.count(exact(users.length), first.total === undefined ? undefined : exact(first.total))}
          </span>
        )}
      </div>
      {list.data === undefined && <Pending query={list} />}
      {list.data !== undefined && list.error && (
        <Failed error={list.error} retry={() => void list.refetch()} />
      )}
      {list.data !== undefined && users.length === 0 && (
        <Empty title={isFiltered ? t.users.noMatch : t.users.empty}>
          {isFiltered ? (
            <Button onClick={clear}>{t.act.clear}</Button>
          ) : (
            <>
              <p className="m-0 text-soft">{t.users.emptyLead}</p>
              {mayWrite && (
                <ButtonLink look="main" href="/users/new">
                  {t.users.create}
                </ButtonLink>
              )}
            </>
          )}
        </Empty>
      )}
      {users.length > 0 && (
        <Table
          label={t.users.title}
          columns={columns}
          rows={users}
          keyOf={(user) => user.id}
          isCurrent={(user) => users[at]?.id === user.id}
        />
      )}
      <More list={list} />
      {mayWrite && (
        <BulkBar
          ids={[...selected]}
          filter={isMatching ? filter : undefined}
          count={isMatching ? (total ?? selected.size) : selected.size}
          more={
            canChooseMore && !isMatching && total !== undefined
              ? { count: total, choose: () => setChosenFilter(filterText) }
              : undefined
          }
          onClear={() => choose(new Set())}
        />
      )}
    </Page>
  )
}

/** The list is asked a moment after the last key, not at each. */
function SearchBox({
  value,
  onSearch,
  ref,
}: {
  value: string
  onSearch: (text: string) => void
  ref: React.Ref<HTMLInputElement>
}) {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => onSearch(text), 120)
    return () => clearTimeout(timer)
  }, [text, value, onSearch])
  return (
    <input
      ref={ref}
      type="search"
      value={text}
      onChange={(event) => setText(event.target.value)}
      placeholder={t.users.search}
      aria-label={t.users.searchLabel}
      className="min-h-8 w-80 max-w-full rounded-6 border border-line bg-raised px-3 text-14 text-text placeholder:text-soft"
    />
  )
}
