import { type ReactNode, useEffect } from 'react'
import { Refusal } from '#api/client.ts'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

/** One title, one sentence at most, the page's actions on the right. */
export function Page({
  title,
  lead,
  actions,
  children,
}: {
  title: string
  lead?: ReactNode
  actions?: ReactNode
  children: ReactNode
}) {
  useEffect(() => {
    document.title = `${title} · ${t.product}`
  }, [title])
  return (
    <>
      <header className="mb-6 flex flex-wrap items-start justify-between gap-4">
        <div className="min-w-0">
          <h1 dir="auto" className="m-0 text-28 font-semibold [overflow-wrap:anywhere]">
            {title}
          </h1>
          {lead && <div className="mt-1 max-w-prose text-soft">{lead}</div>}
        </div>
        {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </>
  )
}

export function Section({
  title,
  actions,
  children,
}: {
  title: string
  actions?: ReactNode
  children: ReactNode
}) {
  return (
    <section className="mb-8">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <h2 className="m-0 text-16 font-semibold">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  )
}

/** What will stand here, and what makes it so. */
export const Empty = ({ title, children }: { title: string; children?: ReactNode }) => (
  <div className="flex flex-col items-start gap-3 rounded-6 border border-dashed border-line p-6">
    <p className="m-0 text-16">{title}</p>
    {children}
  </div>
)

export const Loading = () => (
  <p role="status" className="text-soft">
    {t.state.loading}
  </p>
)

export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const isOffline = error instanceof TypeError
  // A query is asked again by itself; a write is not, and may have been done.
  const offline = retry ? t.state.offline : t.state.offlineWrite
  const words = isOffline ? offline : error instanceof Error ? error.message : t.state.failed
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-3 rounded-6 bg-stop-quiet px-3 py-2 text-stop"
    >
      <span className="min-w-0 [overflow-wrap:anywhere]">{words}</span>
      {retry && <Button onClick={retry}>{t.act.retry}</Button>}
    </div>
  )
}

export const Notice = ({ children }: { children: ReactNode }) => (
  <div role="status" className="flex flex-wrap items-center gap-3 rounded-6 bg-accent-quiet px-3 py-2">
    {children}
  </div>
)

/** What stands where a query has no data yet. */
export function Pending({
  query,
}: {
  query: { isPending: boolean; error: unknown; refetch: () => unknown }
}) {
  if (query.error && !(query.error instanceof Refusal && query.error.status === 401))
    return <Failed error={query.error} retry={() => void query.refetch()} />
  return <Loading />
}
