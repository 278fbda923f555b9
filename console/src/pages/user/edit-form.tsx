import { useState } from 'react'
import { Refusal, type User } from '#api/client.ts'
import { Button } from '#parts/button.tsx'
import { Failed, Notice } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { type Draft, draftOf, editOf } from './draft.ts'
import { LimitsAndMore, NameAndType } from './draft-fields.tsx'
import { useQuota, useSave } from './query.ts'

/** Starts from what was read when the form was opened; a change by another administrator shows when it is saved. */
export function EditForm({ user, etag }: { user: User; etag: string | undefined }) {
  const quota = useQuota(user.id)
  if (quota.data === undefined) return null
  const limits = Object.fromEntries(quota.data.families.map(({ family, ownLimit }) => [family, ownLimit]))
  const families = quota.data.families.map(({ family }) => family)
  return <Form user={user} etag={etag} families={families} now={draftOf(user, limits)} />
}

function Form({
  user,
  etag,
  families,
  now,
}: {
  user: User
  etag: string | undefined
  families: readonly string[]
  now: Draft
}) {
  // What the edit began from, with its version: what is read meanwhile must not pass for it.
  const [base, setBase] = useState({ draft: now, etag })
  const [draft, setDraft] = useState(now)
  const save = useSave(user.id)
  const isTouched = JSON.stringify(draft) !== JSON.stringify(base.draft)
  const refusal = save.error instanceof Refusal ? save.error : undefined
  const isConflict = refusal?.status === 412
  const start = (draft: Draft) => {
    setBase({ draft, etag })
    setDraft(draft)
    save.reset()
  }
  // Untouched, the form shows what the server has now, and begins from that version.
  const isNews = JSON.stringify(now) !== JSON.stringify(base.draft) || etag !== base.etag
  if (!isTouched && isNews && !save.isPending) start(now)
  const send = (version: string | undefined) =>
    save.mutate(
      { edit: editOf(draft, base.draft), etag: version },
      { onSuccess: (saved) => setBase({ draft, etag: saved.etag }) },
    )
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault()
        send(base.etag)
      }}
    >
      <NameAndType {...{ draft, refusal }} onDraft={setDraft} theirs={isConflict ? now : undefined} />
      <LimitsAndMore
        {...{ draft, refusal, families }}
        onDraft={setDraft}
        theirs={isConflict ? now : undefined}
      />
      {isConflict && (
        <Notice>
          <span>{t.user.conflict}</span>
          <Button onClick={() => send(etag)}>{t.user.saveOver}</Button>
          <Button onClick={() => start(now)}>{t.user.takeTheirs}</Button>
        </Notice>
      )}
      {save.error && !isConflict && <Failed error={save.error} />}
      {save.isSuccess && !isTouched && <Notice>{t.user.saved}</Notice>}
      <div className="flex gap-2">
        <Button type="submit" look="main" disabled={!isTouched || save.isPending}>
          {t.act.save}
        </Button>
        {isTouched && <Button onClick={() => start(now)}>{t.act.cancel}</Button>}
      </div>
    </form>
  )
}
