import { useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'
import { answered, api, type UsageRow } from '#api/client.ts'
import { useMay } from '#api/session.ts'
import { StackedBars, upToSix } from '#parts/bars.tsx'
import { ButtonLink } from '#parts/button.tsx'
import { exact, short } from '#parts/figures.ts'
import { Empty, Page, Pending, Section } from '#parts/page.tsx'
import { nameOf } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { seriesOf, summed } from '../usage/series.ts'
import { QuotaLine } from '../users/quota-line.tsx'

const every = { refetchInterval: 10_000 }

function useToday(groupBy: string, limit = 10_000) {
  return useQuery({
    queryKey: ['overview', groupBy],
    queryFn: () =>
      answered(api.GET('/admin/usage', { params: { query: { groupBy, bucket: 'hour', limit } } })),
    ...every,
  })
}

function useUserCount(query: Readonly<Record<string, string>>, isOn: boolean) {
  return useQuery({
    queryKey: ['overview', 'users', query],
    enabled: isOn,
    queryFn: () => answered(api.GET('/admin/users', { params: { query: { ...query, limit: 5 } as never } })),
    ...every,
  })
}

export function Overview() {
  const byFamily = useToday('family')
  const byStatus = useToday('status')
  const byUser = useToday('user', 50_000)
  const may = useMay()
  const mayRead = may('users:read')
  const all = useUserCount({}, mayRead)
  const active = useUserCount(
    { usedFrom: String(Math.floor((Date.now() - 86_400_000) / 600_000) * 600_000) },
    mayRead,
  )
  const near = useUserCount({ usedPercent: '80' }, mayRead)
  const report = byFamily.data
  const isLoaded = report !== undefined && byStatus.data !== undefined && byUser.data !== undefined
  if (!isLoaded)
    return (
      <Page title={t.overview.title}>
        <Pending query={[byFamily, byStatus, byUser].find(({ error }) => error) ?? byFamily} />
      </Page>
    )
  const requests = total(report.rows, 'requests')
  if (requests === 0) return <First />
  const { at, series } = seriesOf(report, 'family')
  const failures = summed(byStatus.data.rows, 'status').filter(
    ({ status = 0 }) => status < 200 || status >= 400,
  )
  return (
    <Page title={t.overview.title} lead={t.overview.lead}>
      <dl className="m-0 mb-8 grid grid-cols-2 gap-px overflow-hidden rounded-6 border border-line bg-line md:grid-cols-4">
        <Figure name={t.overview.requests} value={requests} href="/requests" />
        <Figure name={t.overview.units} value={total(report.rows, 'units')} href="/usage" />
        <Figure name={t.overview.refused} value={total(failures, 'requests')} href="/usage?group=status" />
        <Figure
          name={t.overview.users}
          value={all.data?.total ?? all.data?.count}
          href="/users"
          more={active.data && t.overview.active(exact(active.data.total ?? active.data.count))}
        />
      </dl>
      <Section title={t.overview.perHour}>
        <StackedBars at={at} series={upToSix(series)} label={t.overview.perHour} />
      </Section>
      <div className="grid gap-x-12 md:grid-cols-2">
        <Section title={t.overview.top}>
          <Ranked rows={summed(byUser.data.rows, 'user').slice(0, 8)} />
        </Section>
        <Section title={t.overview.near}>
          {near.data?.users.length ? (
            <ul className="m-0 flex list-none flex-col gap-3 p-0">
              {near.data.users.map((user) => (
                <li key={user.id} className="flex items-center justify-between gap-4">
                  <Link href={`/users/${user.id}`} className="truncate">
                    <bdi>{nameOf(user)}</bdi>
                  </Link>
                  <QuotaLine user={user} />
                </li>
              ))}
              <li>
                <Link href="/users?usedPercent=80">{t.users.saved.near}</Link>
              </li>
            </ul>
          ) : (
            <p className="m-0 text-soft">{t.overview.nearEmpty}</p>
          )}
        </Section>
        <Section title={t.overview.reasons}>
          {failures.length === 0 ? (
            <p className="m-0 text-soft">{t.overview.reasonsEmpty}</p>
          ) : (
            <ul className="m-0 flex list-none flex-col gap-2 p-0">
              {failures.map((row) => (
                <li key={row.status} className="flex justify-between gap-4">
                  <Link href={`/requests?status=${row.status}`}>
                    {row.status === 0 ? 'client_gone' : row.status}
                  </Link>
                  <span title={exact(row.requests)}>{short(row.requests)}</span>
                </li>
              ))}
            </ul>
          )}
        </Section>
      </div>
    </Page>
  )
}

const total = (rows: readonly UsageRow[], of: 'requests' | 'units') =>
  rows.reduce((sum, row) => sum + row[of], 0)

function Figure({
  name,
  value,
  href,
  more,
}: {
  name: string
  value: number | undefined
  href: string
  more?: string | undefined
}) {
  return (
    <div className="flex flex-col gap-1 bg-ground p-4">
      <dt className="text-13 text-soft">{name}</dt>
      <dd className="m-0 text-28 font-semibold">
        <Link
          href={href}
          className="text-text no-underline hover:underline"
          title={value === undefined ? '' : exact(value)}
        >
          {value === undefined ? '–' : short(value)}
        </Link>
      </dd>
      {more && <dd className="m-0 text-12 text-soft">{more}</dd>}
    </div>
  )
}

function Ranked({ rows }: { rows: readonly UsageRow[] }) {
  const most = Math.max(1, ...rows.map(({ units }) => units))
  const names = useNames(rows.map(({ user = '' }) => user))
  if (rows.length === 0) return <p className="m-0 text-soft">{t.overview.topEmpty}</p>
  return (
    <ul className="m-0 flex list-none flex-col gap-2 p-0">
      {rows.map(({ user = '', units }) => (
        <li key={user} className="grid grid-cols-[minmax(0,1fr)_80px_auto] items-center gap-3">
          <Link href={`/users/${user}`} className="truncate">
            <bdi>{names.get(user) ?? user}</bdi>
          </Link>
          <span className="h-1 overflow-hidden rounded-full bg-line">
            <span className="block h-full bg-accent" style={{ width: `${(units / most) * 100}%` }} />
          </span>
          <span title={exact(units)}>{short(units)}</span>
        </li>
      ))}
    </ul>
  )
}

function useNames(ids: readonly string[]): ReadonlyMap<string, string> {
  const may = useMay()
  const { data } = useQuery({
    queryKey: ['names', ...ids],
    enabled: may('users:read') && ids.length > 0,
    staleTime: 60_000,
    queryFn: async () => {
      const users = await Promise.all(
        ids.map((token) =>
          api.GET('/admin/users/{token}', { params: { path: { token } } }).then(({ data }) => data),
        ),
      )
      return new Map(users.flatMap((user) => (user ? [[user.id, nameOf(user)] as const] : [])))
    },
  })
  return data ?? new Map()
}

/** Before the first request: what to do next. */
function First() {
  const may = useMay()
  return (
    <Page title={t.overview.title}>
      <Empty title={t.overview.first}>
        <p className="m-0 max-w-prose text-soft">{t.overview.firstLead}</p>
        {may('users:write') && (
          <ButtonLink look="main" href="/users/new">
            {t.overview.firstAct}
          </ButtonLink>
        )}
        <p role="status" className="m-0 text-soft">
          {t.overview.waiting}
        </p>
      </Empty>
    </Page>
  )
}
