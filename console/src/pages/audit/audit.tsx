import { useAddressFilter, useAddressState } from '#parts/address-state.ts'
import { Button } from '#parts/button.tsx'
import { More } from '#parts/more.tsx'
import { Empty, Page, Pending } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { ChangeRows, useChanges } from './rows.tsx'

const filters = ['kind', 'actor', 'actorKind', 'object'] as const

export function Audit() {
  const [, set] = useAddressState()
  const filter = useAddressFilter(filters)
  const changes = useChanges(filter)
  const rows = changes.data?.pages.flatMap(({ changes }) => changes) ?? []
  const kinds = [...new Set(rows.map(({ kind }) => kind))].sort()
  return (
    <Page
      title={t.audit.title}
      lead={t.audit.lead}
      actions={
        <a href={`/admin/audit?${new URLSearchParams({ ...filter, format: 'csv' })}`} download="audit.csv">
          {t.act.csv}
        </a>
      }
    >
      <div className="mb-4 flex flex-wrap items-center gap-2">
        {Object.entries(filter).map(([name, value]) => (
          <Button key={name} title={t.act.clear} onClick={() => set({ [name]: '' })}>
            {name}: <span className="max-w-60 truncate">{value}</span> ✕
          </Button>
        ))}
        {!filter.kind &&
          kinds.length > 1 &&
          kinds.map((kind) => (
            <Button key={kind} look="bare" onClick={() => set({ kind })}>
              {kind}
            </Button>
          ))}
      </div>
      {changes.data === undefined ? (
        <Pending query={changes} />
      ) : rows.length === 0 ? (
        <Empty title={t.audit.empty} />
      ) : (
        <ChangeRows rows={rows} isWithObject />
      )}
      <More list={changes} />
    </Page>
  )
}
