import { StackedBars, upToSix } from '#parts/bars.tsx'
import { Pending, Section } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { seriesOf } from '../usage/series.ts'
import { UsageTable } from '../usage/usage-table.tsx'
import { useUserUsage } from './query.ts'

export function UsageChart({ id }: { id: string }) {
  const usage = useUserUsage(id)
  if (usage.data === undefined)
    return (
      <Section title={t.user.usage}>
        <Pending query={usage} />
      </Section>
    )
  const { at, series } = seriesOf(usage.data, 'family')
  return (
    <Section title={t.user.usage}>
      {usage.data.rows.length === 0 ? (
        <p className="m-0 text-soft">{t.user.usageEmpty}</p>
      ) : (
        <>
          <StackedBars at={at} series={upToSix(series)} label={t.user.usage} />
          <details className="mt-2">
            <summary className="text-13 text-soft">{t.user.asTable}</summary>
            <UsageTable rows={usage.data.rows} group="family" isByTime />
          </details>
        </>
      )}
    </Section>
  )
}
