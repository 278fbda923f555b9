import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type AdminKey, answered, api, type Scope, type Session } from '#api/client.ts'
import { sessionKey, useMay } from '#api/session.ts'
import { useWrite } from '#api/write.ts'
import { Button } from '#parts/button.tsx'
import { Dialog, DialogFoot } from '#parts/dialog.tsx'
import { TextField } from '#parts/field.tsx'
import { instantOf } from '#parts/figures.ts'
import { Failed, Page, Pending, Section } from '#parts/page.tsx'
import { ShownSecret } from '#parts/shown-secret.tsx'
import { type Column, Table } from '#parts/table.tsx'
import { Time } from '#parts/time.tsx'
import { Chip } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'

const keysKey = ['keys']
const sessionsKey = ['sessions']
const scopes: readonly (Scope | 'admin')[] = [
  'admin',
  'users:read',
  'users:write',
  'users:purge',
  'tokens:reveal',
  'usage:read',
  'audit:read',
  'keys:write',
  'settings:read',
  'verify',
  'usage:write',
]

export function Keys() {
  const may = useMay()
  return (
    <Page title={t.keys.title}>
      {may('keys:write') && <KeySection />}
      <SessionSection />
    </Page>
  )
}

function KeySection() {
  const queries = useQueryClient()
  const keys = useQuery({
    queryKey: keysKey,
    queryFn: () => answered(api.GET('/admin/keys')),
    refetchInterval: 15_000,
  })
  const [dialog, setDialog] = useState<'create' | AdminKey>()
  const again = () => queries.invalidateQueries({ queryKey: keysKey })
  const columns: readonly Column<AdminKey>[] = [
    {
      key: 'name',
      head: t.keys.name,
      cell: (key) => (
        <span className="font-medium [overflow-wrap:anywhere]">
          <bdi>{key.name}</bdi>
        </span>
      ),
    },
    {
      key: 'scopes',
      head: t.keys.scopes,
      cell: (key) => (
        <span className="flex flex-wrap gap-1">
          {key.scopes.map((scope) => (
            <Chip key={scope}>{scope}</Chip>
          ))}
        </span>
      ),
    },
    {
      key: 'used',
      head: t.keys.lastUsed,
      isExtra: true,
      cell: (key) => <Time at={key.lastUsedAt} absent={t.keys.never} />,
    },
    {
      key: 'expires',
      head: t.keys.expires,
      isExtra: true,
      cell: (key) => <Time at={key.expiresAt} absent={t.keys.never} />,
    },
    {
      key: 'act',
      head: <span className="sr-only">{t.keys.actions}</span>,
      isFigure: true,
      cell: (key) => (
        <Button look="bare" onClick={() => setDialog(key)}>
          {t.keys.revoke}
        </Button>
      ),
    },
  ]
  return (
    <Section
      title={t.keys.keys}
      actions={
        <Button look="main" onClick={() => setDialog('create')}>
          {t.keys.create}
        </Button>
      }
    >
      {keys.data === undefined ? (
        <Pending query={keys} />
      ) : (
        <Table label={t.keys.keys} columns={columns} rows={keys.data.keys} keyOf={(key) => key.id} />
      )}
      {dialog === 'create' && (
        <CreateKey
          onClose={() => {
            setDialog(undefined)
            void again()
          }}
        />
      )}
      {typeof dialog === 'object' && (
        <RevokeKey
          adminKey={dialog}
          onClose={() => {
            setDialog(undefined)
            void again()
          }}
        />
      )}
    </Section>
  )
}

function CreateKey({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(['users:read', 'usage:read']))
  const [expiresAt, setExpiresAt] = useState('')
  const create = useWrite({
    mutationFn: () =>
      answered(
        api.POST('/admin/keys', {
          body: {
            name,
            scopes: [...chosen] as never,
            ...(expiresAt !== '' && { expiresAt: instantOf(expiresAt) }),
          },
        }),
      ),
  })
  if (create.data)
    return (
      <ShownSecret title={create.data.name} lead={t.keys.made} secret={create.data.key} onClose={onClose} />
    )
  return (
    <Dialog title={t.keys.create} onClose={onClose} isBusy={create.isPending}>
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate()
        }}
      >
        <TextField
          label={t.keys.name}
          required
          autoFocus
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <fieldset className="m-0 grid grid-cols-2 gap-1 border-0 p-0">
          <legend className="mb-1 p-0 text-13 font-medium">{t.keys.scopes}</legend>
          {scopes.map((scope) => (
            <label key={scope} className="flex items-center gap-2 text-13">
              <input
                type="checkbox"
                checked={chosen.has(scope)}
                onChange={() =>
                  setChosen(
                    chosen.has(scope)
                      ? new Set([...chosen].filter((one) => one !== scope))
                      : new Set([...chosen, scope]),
                  )
                }
              />
              {scope}
            </label>
          ))}
        </fieldset>
        <TextField
          label={t.keys.expires}
          type="datetime-local"
          value={expiresAt}
          onChange={(event) => setExpiresAt(event.target.value)}
        />
        {create.error && <Failed error={create.error} />}
        <DialogFoot>
          <Button disabled={create.isPending} onClick={onClose}>
            {t.act.cancel}
          </Button>
          <Button type="submit" look="main" disabled={chosen.size === 0 || create.isPending}>
            {t.keys.create}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}

function RevokeKey({ adminKey, onClose }: { adminKey: AdminKey; onClose: () => void }) {
  const revoke = useWrite({
    mutationFn: () => answered(api.DELETE('/admin/keys/{id}', { params: { path: { id: adminKey.id } } })),
    onSuccess: onClose,
  })
  return (
    <Dialog title={t.keys.revokeTitle(adminKey.name)} onClose={onClose} isBusy={revoke.isPending}>
      <p className="m-0">{t.keys.revokeLead}</p>
      {revoke.error && <Failed error={revoke.error} />}
      <DialogFoot>
        <Button onClick={onClose}>{t.act.cancel}</Button>
        <Button look="stop" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          {t.keys.revokeTitle(adminKey.name)}
        </Button>
      </DialogFoot>
    </Dialog>
  )
}

function SessionSection() {
  const queries = useQueryClient()
  const sessions = useQuery({
    queryKey: sessionsKey,
    queryFn: () => answered(api.GET('/admin/sessions')),
    refetchInterval: 15_000,
  })
  const end = useWrite({
    mutationFn: (session: Session) =>
      answered(api.DELETE('/admin/sessions/{id}', { params: { path: { id: session.id } } })),
    onSuccess: (_, session) =>
      session.isCurrent
        ? queries.setQueryData(sessionKey, null)
        : queries.invalidateQueries({ queryKey: sessionsKey }),
  })
  const columns: readonly Column<Session>[] = [
    {
      key: 'key',
      head: t.keys.name,
      cell: (session) => (
        <span className="flex flex-wrap items-center gap-2">
          <bdi>{session.key.name}</bdi>
          {session.isCurrent && <Chip tone="good">{t.keys.thisOne}</Chip>}
        </span>
      ),
    },
    { key: 'since', head: t.keys.since, cell: (session) => <Time at={session.createdAt} /> },
    {
      key: 'until',
      head: t.keys.until,
      isExtra: true,
      cell: (session) => <Time at={Math.min(session.expiresAt, session.idleUntil)} />,
    },
    {
      key: 'address',
      head: t.keys.address,
      isExtra: true,
      cell: (session) => <span className="font-mono">{session.address}</span>,
    },
    {
      key: 'act',
      head: <span className="sr-only">{t.keys.actions}</span>,
      isFigure: true,
      cell: (session) => (
        <Button look="bare" disabled={end.isPending} onClick={() => end.mutate(session)}>
          {t.keys.end}
        </Button>
      ),
    },
  ]
  return (
    <Section title={t.keys.sessions}>
      {end.error && <Failed error={end.error} />}
      {sessions.data === undefined ? (
        <Pending query={sessions} />
      ) : (
        <Table
          label={t.keys.sessions}
          columns={columns}
          rows={sessions.data.sessions}
          keyOf={(session) => session.id}
        />
      )}
    </Section>
  )
}
