import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { answered, api, Refusal } from '#api/client.ts'
import { useFamilies } from '#api/description.ts'
import { useMay } from '#api/session.ts'
import { useWrite } from '#api/write.ts'
import { Button, ButtonLink } from '#parts/button.tsx'
import { Copyable } from '#parts/copy.tsx'
import { ConnectionKit } from '#parts/kit.tsx'
import { Failed, Notice, Page, Section } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { type Draft, editOf, emptyDraft } from '../user/draft.ts'
import { LimitsAndMore, NameAndType } from '../user/draft-fields.tsx'

/** The fields above the fold. */
const first: ReadonlySet<string> = new Set(['nickname', 'type', 'expiresAt'])

interface Made {
  readonly id: string
  readonly token: string
  readonly name: string
}

export function Create() {
  const [draft, setDraft] = useState<Draft>(emptyDraft)
  const [made, setMade] = useState<Made>()
  const [isMore, setMore] = useState(false)
  const queries = useQueryClient()
  const families = useFamilies()
  // One press, one user: a repeat after a broken connection must not make a second one.
  const once = useRef(crypto.randomUUID())
  const create = useWrite({
    mutationFn: () =>
      answered(
        api.POST('/admin/users', {
          params: { header: { 'Idempotency-Key': once.current } },
          body: editOf(draft, emptyDraft),
        }),
      ),
    onSuccess: ({ id, token }) => {
      setMade({ id, token, name: draft.nickname || id })
      once.current = crypto.randomUUID()
      void queries.invalidateQueries({ queryKey: ['users'] })
    },
    onError: (error) => {
      // A refusal made nothing; the next try is another request.
      if (!(error instanceof Refusal)) return
      once.current = crypto.randomUUID()
      // A message at a field must be seen.
      if ([...error.issues.keys()].some((path) => !first.has(path))) setMore(true)
    },
  })
  const refusal = create.error instanceof Refusal ? create.error : undefined
  if (made)
    return (
      <Done
        made={made}
        onAnother={() => {
          setMade(undefined)
          setDraft(emptyDraft)
          create.reset()
        }}
      />
    )
  return (
    <Page title={t.create.title} lead={t.create.lead}>
      <form
        className="flex max-w-[560px] flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate()
        }}
      >
        <NameAndType {...{ draft, refusal }} onDraft={setDraft} />
        <details open={isMore} onToggle={(event) => setMore(event.currentTarget.open)}>
          <summary className="mb-3 text-14 text-accent">{t.create.more}</summary>
          <div className="flex flex-col gap-4">
            <LimitsAndMore {...{ draft, refusal, families }} onDraft={setDraft} />
          </div>
        </details>
        {create.error && <Failed error={create.error} />}
        <div className="flex gap-2">
          <Button type="submit" look="main" disabled={create.isPending}>
            {t.create.submit}
          </Button>
          <ButtonLink href="/users">{t.act.cancel}</ButtonLink>
        </div>
      </form>
    </Page>
  )
}

function Done({ made, onAnother }: { made: Made; onAnother: () => void }) {
  const heading = useRef<HTMLDivElement>(null)
  useEffect(() => heading.current?.focus(), [])
  return (
    <div ref={heading} tabIndex={-1} className="outline-none">
      <Page
        title={t.create.done(made.name)}
        lead={t.create.doneLead}
        actions={
          <>
            <Button onClick={onAnother}>{t.create.another}</Button>
            <ButtonLink look="main" href={`/users/${made.id}`}>
              {t.create.open}
            </ButtonLink>
          </>
        }
      >
        <div className="max-w-[800px]">
          <Section title={t.user.token}>
            <Copyable text={made.token} />
          </Section>
          <Section title={t.kit.title}>
            <ConnectionKit token={made.token} />
          </Section>
          <FirstRequest id={made.id} />
        </div>
      </Page>
    </div>
  )
}

/** Turns green when the user's first request comes in. */
function FirstRequest({ id }: { id: string }) {
  const may = useMay()
  const first = useQuery({
    queryKey: ['first-request', id],
    enabled: may('usage:read'),
    queryFn: () => answered(api.GET('/admin/requests', { params: { query: { user: id, limit: 1 } } })),
    refetchInterval: ({ state }) => (state.data?.requests.length ? false : 1_500),
  })
  const [request] = first.data?.requests ?? []
  if (!request)
    return (
      <p role="status" className="text-soft">
        {t.create.waiting}
      </p>
    )
  return (
    <Notice>
      <strong>✓ {t.create.arrived}</strong>
      <span>
        {request.model} · {request.status ?? ''}
      </span>
    </Notice>
  )
}
