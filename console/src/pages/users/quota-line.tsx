import type { User } from '#api/client.ts'
import { exact, short } from '#parts/figures.ts'

/** The family that is nearest its end, in one line; without a limit, what was used. */
export function QuotaLine({ user }: { user: User }) {
  const counts = user.tokenCounts as Readonly<Record<string, number>>
  const limits = Object.entries(user.tokenLimits as Readonly<Record<string, number | undefined>>)
    .filter(
      (entry): entry is [string, number] =>
        entry[1] !== undefined && entry[1] >= 0 && user.type !== 'special',
    )
    .map(([family, limit]) => ({
      family,
      limit,
      used: counts[family] ?? 0,
      share: limit === 0 ? 1 : (counts[family] ?? 0) / limit,
    }))
  const nearest = limits.toSorted((one, other) => other.share - one.share)[0]
  const used = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (!nearest)
    return (
      <span className="text-soft" title={exact(used)}>
        {short(used)}
      </span>
    )
  const tone = nearest.share >= 1 ? 'bg-stop' : nearest.share >= 0.8 ? 'bg-soon' : 'bg-accent'
  return (
    <div
      className="flex w-40 flex-col gap-1"
      title={`${nearest.family}: ${exact(nearest.used)} / ${exact(nearest.limit)}`}
    >
      <div className="flex h-1 overflow-hidden rounded-full bg-line">
        <span className={tone} style={{ width: `${Math.min(100, nearest.share * 100)}%` }} />
      </div>
      <span className="text-12 text-soft">
        {nearest.family} {short(nearest.used)} / {short(nearest.limit)}
      </span>
    </div>
  )
}
