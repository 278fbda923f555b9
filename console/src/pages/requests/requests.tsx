import { useEffect, useState } from 'react'
import { useAddressFilter, useAddressState } from '#parts/address-state.ts'
import { Button } from '#parts/button.tsx'
import { Filter } from '#parts/field.tsx'
import { More } from '#parts/more.tsx'
import { Empty, Page, Pending } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { RequestRows, useRequests } from './rows.tsx'

const filters = ['user', 'state', 'status', 'code', 'family', 'model', 'upstream', 'id'] as const

export function Requests() {
  const [get, set] = useAddressState()
  const filter = useAddressFilter(filters)
  const requests = useRequests(filter)
  const rows = requests.data?.pages.flatMap(({ requests }) => requests) ?? []
  const [id, setId] = useState(get('id'))
  useEffect(() => setId(get('id')), [get])
  const shown = Object.entries(filter).filter(([name]) => name !== 'state' && name !== 'id')
  return (
    <Page title={t.requests.title} lead={t.requests.lead}>
      <div className="mb-4 flex flex-wrap items-center gap-3">
        <form
          role="search"
          onSubmit={(event) => {
            event.preventDefault()
            set({ id: id.trim() })
          }}
        >
          <input
            type="search"
            aria-label={t.requests.find}
            placeholder={t.requests.find}
            value={id}
            onChange={(event) => {
              setId(event.target.value)
              if (event.target.value === '') set({ id: '' })
            }}
            className="min-h-8 w-72 max-w-full rounded-6 border border-line bg-raised px-3 text-14 text-text placeholder:text-soft"
          />
        </form>
        <Filter
          label={t.users.state}
          value={get('state')}
          options={[['', t.requests.any], ...Object.entries(t.requests.states)]}
          onPick={(state) => set({ state })}
        />
        {shown.map(([name, value]) => (
          <Button key={name} title={t.act.clear} onClick={() => set({ [name]: '' })}>
            {name}: <span className="max-w-40 truncate">{value}</span> ✕
          </Button>
        ))}
      </div>
      {requests.data === undefined ? (
        <Pending query={requests} />
      ) : rows.length === 0 ? (
        <Empty title={t.requests.empty}>
          {Object.keys(filter).length > 0 && (
            <Button
              onClick={() => {
                setId('')
                set(Object.fromEntries(filters.map((name) => [name, ''])))
              }}
            >
              {t.act.clear}
            </Button>
          )}
        </Empty>
      ) : (
        <RequestRows rows={rows} />
      )}
      <More list={requests} />
    </Page>
  )
}
