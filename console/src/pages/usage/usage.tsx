import { useQuery } from '@tanstack/react-query'
import { answered, api, type UsageRow } from '#api/client.ts'
import { useAddressState } from '#parts/address-state.ts'
import { StackedBars, upToSix } from '#parts/bars.tsx'
import { Filter } from '#parts/field.tsx'
import { exact } from '#parts/figures.ts'
import { Empty, Notice, Page, Pending, Section } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { type Group, groupOf, seriesOf, summed } from './series.ts'
import { UsageTable } from './usage-table.tsx'

const day = 86_400_000
const ranges = {
  '24h': { length: day, bucket: 'hour' },
  '7d': { length: 7 * day, bucket: 'hour' },
  '30d': { length: 30 * day, bucket: 'day' },
  '90d': { length: 90 * day, bucket: 'day' },
} as const
type Range = keyof typeof ranges

interface Asked {
  readonly group: Group
  readonly range: Range
}

function useUsage({ group, range }: Asked, periodsBack: number) {
  const { length, bucket } = ranges[range]
  return useQuery({
    queryKey: ['usage', group, range, periodsBack],
    queryFn: () => {
      const to = Date.now() - periodsBack * length
      const query = {
        groupBy: group,
        bucket,
        from: String(to - length),
        ...(periodsBack > 0 && { to: String(to) }),
        limit: 50_000,
      }
      return answered(api.GET('/admin/usage', { params: { query: query as never } }))
    },
    placeholderData: (before) => before,
    refetchInterval: periodsBack === 0 ? 15_000 : false,
  })
}

export function Usage() {
  const [get, set] = useAddressState()
  const asked: Asked = {
    group: pickOf(t.usage.groups, get('group'), 'family'),
    range: pickOf(ranges, get('range'), '24h'),
  }
  const usage = useUsage(asked, 0)
  const before = useUsage(asked, 1)
  const { group, range } = asked
  const csv = `/admin/usage?${new URLSearchParams({ format: 'csv', groupBy: group, bucket: ranges[range].bucket, from: String(Date.now() - ranges[range].length), limit: '50000' })}`
  return (
    <Page
      title={t.usage.title}
      lead={t.usage.lead}
      actions={
        <a href={csv} download="usage.csv">
          {t.act.csv}
        </a>
      }
    >
      <div className="mb-4 flex flex-wrap gap-4">
        <Filter
          label={t.usage.range}
          value={range}
          options={Object.entries(t.usage.ranges)}
          onPick={(value) => set({ range: value === '24h' ? '' : value })}
        />
        <Filter
          label={t.usage.group}
          value={group}
          options={Object.entries(t.usage.groups)}
          onPick={(value) => set({ group: value === 'family' ? '' : value })}
        />
      </div>
      {usage.data === undefined ? (
        <Pending query={usage} />
      ) : usage.data.rows.length === 0 ? (
        <Empty title={t.usage.empty} />
      ) : (
        <Explored report={usage.data} before={before.data?.rows} group={group} />
      )}
    </Page>
  )
}

function Explored({
  report,
  before,
  group,
}: {
  report: Parameters<typeof seriesOf>[0] & { readonly truncated: boolean }
  before: readonly UsageRow[] | undefined
  group: Group
}) {
  const { at, series } = seriesOf(report, group)
  const rows = summed(report.rows, group)
  const estimated = rows.reduce((sum, row) => sum + row.estimated, 0)
  const unitsBefore = before && new Map(summed(before, group).map((row) => [groupOf(row, group), row.units]))
  return (
    <>
      <Section title={t.usage.chart}>
        <StackedBars at={at} series={upToSix(series)} label={t.usage.chart} />
      </Section>
      {report.truncated && <Notice>{t.usage.truncated}</Notice>}
      <Section title={t.usage.groups[group]}>
        <UsageTable rows={rows} group={group} before={unitsBefore} />
        {estimated > 0 && <p className="text-13 text-soft">{t.usage.estimated(exact(estimated))}</p>}
      </Section>
    </>
  )
}

function pickOf<T extends object, K extends keyof T & string>(
  choices: T,
  value: string,
  fallback: K,
): keyof T & K {
  return (Object.hasOwn(choices, value) ? value : fallback) as keyof T & K
}
