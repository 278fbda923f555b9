import { ago, fullTime } from './figures.ts'

/** How long ago, with the full time in the viewer's zone on hover. */
export function Time({ at, absent = '' }: { at: number | undefined; absent?: string }) {
  if (at === undefined) return <span className="text-soft">{absent}</span>
  return (
    <time dateTime={new Date(at).toISOString()} title={fullTime(at)}>
      {ago(at)}
    </time>
  )
}
