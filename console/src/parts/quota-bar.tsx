import type { FamilyQuota } from '#api/client.ts'
import { t } from '#words/words.ts'
import { ago, exact, fullTime, short } from './figures.ts'

/** Used (solid), reserved by running requests (striped), left (ground); beside it the number that matters. */
export function QuotaBar({ quota }: { quota: FamilyQuota }) {
  const { family, limit, used, reserved, resetAt } = quota
  const share = limit === undefined ? 0 : limit === 0 ? 100 : Math.min(100, (used / limit) * 100)
  const held = limit === undefined || limit === 0 ? 0 : Math.min(100 - share, (reserved / limit) * 100)
  const level = share + held >= 100 ? 'stop' : share >= 80 ? 'soon' : 'accent'
  const tone = { stop: 'bg-stop', soon: 'bg-soon', accent: 'bg-accent' }[level]
  const left = quota.remaining ?? 0
  return (
    <div className="flex flex-col gap-1">
      <div className="flex flex-wrap justify-between gap-2 text-13">
        <strong className="font-medium">{family}</strong>
        <span
          className={level === 'stop' ? 'text-stop' : level === 'soon' ? 'text-soon' : 'text-soft'}
          title={limit === undefined ? exact(used) : `${exact(used)} / ${exact(limit)}`}
        >
          {limit === undefined
            ? `${t.user.used(short(used))} · ${t.user.noLimit}`
            : left > 0
              ? t.user.left(short(left))
              : t.user.spent}
          {resetAt !== undefined && <span title={fullTime(resetAt)}> · {t.user.resets(ago(resetAt))}</span>}
        </span>
      </div>
      {limit !== undefined && (
        <div
          role="meter"
          aria-label={family}
          aria-valuemin={0}
          aria-valuemax={limit}
          aria-valuenow={Math.min(limit, used + reserved)}
          aria-valuetext={`${t.user.used(exact(used))}, ${t.user.of(exact(limit))}`}
          className="flex h-2 overflow-hidden rounded-full border border-line bg-quiet"
        >
          <span className={tone} style={{ width: `${share}%` }} />
          {held > 0 && (
            <span
              title={t.user.reserved(exact(reserved))}
              className={`${tone} opacity-60 bg-[repeating-linear-gradient(90deg,transparent_0_2px,var(--color-quiet)_2px_4px)]`}
              style={{ width: `${held}%` }}
            />
          )}
        </div>
      )}
    </div>
  )
}
