import { t } from '#words/words.ts'
import { exact, fullTime, short } from './figures.ts'

export interface Series {
  readonly name: string
  /** One figure for each instant of the chart. */
  readonly figures: readonly number[]
}

const colours = ['bg-series-1', 'bg-series-2', 'bg-series-3', 'bg-series-4', 'bg-series-5', 'bg-series-6']
const seriesMax = colours.length

/** The largest series by name; what is beyond six stands together. */
export function upToSix(series: readonly Series[]): readonly Series[] {
  if (series.length <= seriesMax) return series
  const total = ({ figures }: Series) => figures.reduce((sum, figure) => sum + figure, 0)
  const sorted = series.toSorted((one, other) => total(other) - total(one))
  const rest = sorted.slice(seriesMax - 1)
  const figures =
    rest[0]?.figures.map((_, at) => rest.reduce((sum, one) => sum + (one.figures[at] ?? 0), 0)) ?? []
  return [...sorted.slice(0, seriesMax - 1), { name: t.usage.other, figures }]
}

/** Stacked bars over time. The figures stand in a table below it for those who do not see it. */
export function StackedBars({
  at,
  series,
  label,
}: {
  at: readonly number[]
  series: readonly Series[]
  label: string
}) {
  const sums = at.map((_, index) => series.reduce((sum, { figures }) => sum + (figures[index] ?? 0), 0))
  const top = Math.max(1, ...sums)
  const first = at[0]
  const last = at.at(-1)
  return (
    <figure className="m-0">
      <div className="mb-2 flex flex-wrap gap-x-4 gap-y-1 text-12 text-soft">
        {series.map(({ name }, index) => (
          <span key={name} className="inline-flex items-center gap-1">
            <span className={`size-2 rounded-full ${colours[index]}`} />
            {name}
          </span>
        ))}
      </div>
      <div role="img" aria-label={label} className="flex h-40 items-end gap-px border-b border-line">
        {at.map((instant, index) => (
          <div
            key={instant}
            title={`${fullTime(instant)}\n${series.map(({ name, figures }) => `${name}: ${exact(figures[index] ?? 0)}`).join('\n')}`}
            className="flex h-full min-w-0 flex-1 flex-col-reverse hover:bg-quiet"
          >
            {series.map(({ name, figures }, number) => (
              <span
                key={name}
                className={`${colours[number]} ${(figures[index] ?? 0) > 0 ? 'min-h-px' : ''}`}
                style={{ height: `${((figures[index] ?? 0) / top) * 100}%` }}
              />
            ))}
          </div>
        ))}
      </div>
      <figcaption className="mt-1 flex justify-between text-12 text-soft">
        <span>{first !== undefined && fullTime(first)}</span>
        <span title={exact(top)}>max. {short(top)}</span>
        <span>{last !== undefined && fullTime(last)}</span>
      </figcaption>
    </figure>
  )
}
