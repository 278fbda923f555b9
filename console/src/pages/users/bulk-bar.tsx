import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api, type BulkRun } from '#api/client.ts'
import { useWrite } from '#api/write.ts'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { TextField } from '#parts/field.tsx'
import { exact } from '#parts/figures.ts'
import { Failed } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { toQuery, type UserFilter, usersKey } from './query.ts'

type Kind = 'disable' | 'enable' | 'tag' | 'untag' | 'reset' | 'extend'
const kinds: readonly Kind[] = ['disable', 'enable', 'tag', 'untag', 'reset', 'extend']
const asked: Partial<Record<Kind, string>> = {
  disable: t.bulk.reason,
  tag: t.bulk.tagName,
  untag: t.bulk.tagName,
  extend: t.bulk.days,
}

function actionOf(kind: Kind, text: string): object {
  if (kind === 'disable') return text ? { kind, reason: text } : { kind }
  if (kind === 'tag') return { kind: 'tag', add: [text] }
  if (kind === 'untag') return { kind: 'tag', remove: [text] }
  if (kind === 'extend') return { kind, days: Number(text) }
  return { kind: kind === 'reset' ? 'resetUsage' : kind }
}

interface Targets {
  readonly ids: readonly string[]
  /** All that match, where the administrator chose them beyond what is shown. */
  readonly filter: UserFilter | undefined
}

interface Props extends Targets {
  /** How many that is. */
  readonly count: number
  /** Chooses all that match; where there are more than are shown. */
  readonly more: { readonly count: number; readonly choose: () => void } | undefined
  readonly onClear: () => void
}

function begin({ ids, filter }: Targets, action: object, dryRun: boolean) {
  const whom = filter ? { filter: toQuery(filter) } : { ids }
  return answered(api.POST('/admin/users/bulk', { body: { action, ...whom, dryRun } as never }))
}

/** What can be done to the users that are selected: counted first, then carried out, then undone for an hour. */
export function BulkBar({ ids, filter, count, more, onClear }: Props) {
  const [kind, setKind] = useState<Kind>()
  const [run, setRun] = useState<BulkRun>()
  const queries = useQueryClient()
  const undo = useWrite({
    mutationFn: async (id: string) => {
      let now = await answered(api.POST('/admin/bulk/{id}/undo', { params: { path: { id } } }))
      while (now.state === 'undoing')
        now = await answered(api.POST('/admin/bulk/{id}/undo', { params: { path: { id } } }))
      return now
    },
    onSuccess: setRun,
    onSettled: () => queries.invalidateQueries({ queryKey: usersKey }),
  })
  if (ids.length === 0 && !run) return null
  return (
    <div
      role="region"
      aria-label={t.users.selected(exact(count))}
      className="sticky bottom-4 z-10 mt-4 flex flex-wrap items-center gap-2 rounded-6 border border-line bg-raised p-3 shadow-float max-md:bottom-20"
    >
      {run ? (
        <span role="status">
          {run.state === 'undone'
            ? t.bulk.undone(exact(run.undone ?? 0))
            : t.bulk.done(exact(run.changed ?? 0))}
          {(run.failed ?? 0) > 0 &&
            ` ${t.bulk.failed(exact(run.failed ?? 0))} ${run.errors?.[0]?.message ?? ''}`}
        </span>
      ) : (
        <span>{t.users.selected(exact(count))}</span>
      )}
      {run?.id !== undefined && run.state === 'done' && run.undoUntil !== undefined && (
        <Button disabled={undo.isPending} onClick={() => undo.mutate(run.id ?? '')}>
          {t.act.undo}
        </Button>
      )}
      {undo.error && <Failed error={undo.error} />}
      {!run && more && (
        <Button look="bare" onClick={more.choose}>
          {t.users.selectMatching(exact(more.count))}
        </Button>
      )}
      {!run &&
        kinds.map((one) => (
          <Button key={one} onClick={() => setKind(one)}>
            {t.bulk[one]}
          </Button>
        ))}
      <Button
        look="bare"
        className="ms-auto"
        onClick={() => {
          setRun(undefined)
          onClear()
        }}
      >
        {t.act.dismiss}
      </Button>
      {kind && (
        <BulkDialog
          kind={kind}
          targets={{ ids, filter }}
          onClose={() => setKind(undefined)}
          onDone={(done) => {
            setKind(undefined)
            setRun(done)
          }}
        />
      )}
    </div>
  )
}

function BulkDialog({
  kind,
  targets,
  onClose,
  onDone,
}: {
  kind: Kind
  targets: Targets
  onClose: () => void
  onDone: (run: BulkRun) => void
}) {
  const queries = useQueryClient()
  const [text, setText] = useState('')
  const [progress, setProgress] = useState<BulkRun>()
  const isReady = kind === 'disable' || asked[kind] === undefined || text.trim() !== ''
  const action = actionOf(kind, text.trim())
  const dry = useQuery({
    queryKey: ['bulk-dry', targets, action],
    queryFn: () => begin(targets, action, true),
    enabled: isReady,
  })
  const work = useWrite({
    mutationFn: async () => {
      let run = await begin(targets, action, false)
      while (run.state === 'running' && run.id !== undefined) {
        setProgress(run)
        run = await answered(api.POST('/admin/bulk/{id}/continue', { params: { path: { id: run.id } } }))
      }
      return run
    },
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: usersKey }),
  })
  const changing = dry.data ? (dry.data.changed ?? dry.data.matched) : undefined
  const label = asked[kind]
  return (
    <Dialog title={t.bulk[kind]} onClose={onClose} isBusy={work.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          work.mutate()
        }}
      >
        {label && (
          <TextField
            label={label}
            autoFocus
            value={text}
            type={kind === 'extend' ? 'number' : 'text'}
            min={1}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        <p className="m-0" role="status">
          {progress
            ? t.bulk.running(
                exact((progress.changed ?? 0) + (progress.unchanged ?? 0) + (progress.failed ?? 0)),
                exact(progress.matched),
              )
            : changing === undefined
              ? isReady && !dry.error && t.bulk.checking
              : t.bulk.would(exact(changing))}
        </p>
        {dry.error && <Failed error={dry.error} />}
        {work.error && <Failed error={work.error} />}
        <DialogFoot>
          <Button onClick={onClose}>{t.act.cancel}</Button>
          <Button
            type="submit"
            look={kind === 'disable' || kind === 'reset' ? 'stop' : 'main'}
            disabled={!isReady || changing === undefined || changing === 0 || work.isPending}
          >
            {changing === undefined ? t.bulk[kind] : t.bulk.apply(t.bulk[kind], exact(changing))}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
