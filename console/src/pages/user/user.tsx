import { useState } from 'react'
import { Link } from 'wouter'
import { Refusal, type User } from '#api/client.ts'
import { useMay } from '#api/session.ts'
import { Button, ButtonLink } from '#parts/button.tsx'
import { Copyable } from '#parts/copy.tsx'
import { Empty, Failed, Page, Pending, Section } from '#parts/page.tsx'
import { QuotaBar } from '#parts/quota-bar.tsx'
import { ShownSecret } from '#parts/shown-secret.tsx'
import { Time } from '#parts/time.tsx'
import { Chip, nameOf, UserState } from '#parts/user-state.tsx'
import { t } from '#words/words.ts'
import { ChangeRows, useChanges } from '../audit/rows.tsx'
import { RequestRows, useRequests } from '../requests/rows.tsx'
import { AddUnits } from './add-units.tsx'
import { ClaimDialog } from './claim-dialog.tsx'
import { DisableDialog, RotateDialog } from './dialogs.tsx'
import { EditForm } from './edit-form.tsx'
import { PurgeDialog } from './purge-dialog.tsx'
import { useQuota, useResetUsage, useReveal, useSave, useUser } from './query.ts'
import { UsageChart } from './usage-chart.tsx'

export function UserPage({ id }: { id: string }) {
  const query = useUser(id)
  const may = useMay()
  if (query.data === undefined) {
    const isUnknown = query.error instanceof Refusal && query.error.status === 404
    return (
      <Page title={t.users.title}>
        {isUnknown ? (
          <Empty title={t.user.none}>
            <ButtonLink href="/users">{t.state.toUsers}</ButtonLink>
          </Empty>
        ) : (
          <Pending query={query} />
        )}
      </Page>
    )
  }
  const { value: user, etag } = query.data
  return (
    <Page
      title={nameOf(user)}
      lead={
        <span className="flex flex-wrap items-center gap-2">
          <Link href="/users">{t.user.back}</Link>
          <UserState user={user} />
          {user.type !== 'normal' && <Chip>{t.users.types[user.type]}</Chip>}
          {user.tags?.map((tag) => (
            <Chip key={tag}>{tag}</Chip>
          ))}
        </span>
      }
      actions={may('users:write') && <Actions user={user} etag={etag} />}
    >
      <div className="grid gap-x-12 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="min-w-0">
          <Quotas user={user} />
          {may('usage:read') && <UsageChart id={id} />}
          {may('usage:read') && <LatestRequests id={id} />}
          {may('audit:read') && <LatestChanges id={id} />}
        </div>
        <div className="min-w-0">
          <Section title={t.user.details}>
            <dl className="m-0 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-2 text-13">
              <Fact name={t.user.created}>
                <Time at={user.createdAt} />
              </Fact>
              <Fact name={t.user.lastUsed}>
                <Time at={user.lastUsedAt} absent={t.users.never} />
              </Fact>
              <Fact name={t.user.expires}>
                <Time at={user.expiresAt} absent={t.users.never} />
              </Fact>
              <Fact name={t.users.prompts}>{user.promptCount}</Fact>
              <Fact name={t.user.token}>
                <code className="font-mono [overflow-wrap:anywhere]">{masked(user.token)}</code>
              </Fact>
              {user.disabledReason && (
                <Fact name={t.user.disabled}>
                  <span className="whitespace-pre-wrap [overflow-wrap:anywhere]">{user.disabledReason}</span>
                </Fact>
              )}
              {user.adminNote && (
                <Fact name={t.user.note}>
                  <span className="whitespace-pre-wrap [overflow-wrap:anywhere]">{user.adminNote}</span>
                </Fact>
              )}
            </dl>
            <div className="mt-3">
              <Copyable text={user.id} />
            </div>
          </Section>
          <Section title={t.user.addresses}>
            {user.ip.length === 0 ? (
              <p className="m-0 text-soft">{t.user.addressesEmpty}</p>
            ) : (
              <ul className="m-0 flex list-none flex-col gap-1 p-0 font-mono text-13">
                {user.ip
                  .toReversed()
                  .slice(0, 20)
                  .map((address) => (
                    <li key={address}>{address}</li>
                  ))}
              </ul>
            )}
          </Section>
          {may('users:write') && (
            <Section title={t.user.edit}>
              <EditForm user={user} etag={etag} />
            </Section>
          )}
        </div>
      </div>
    </Page>
  )
}

const Fact = ({ name, children }: { name: string; children: React.ReactNode }) => (
  <>
    <dt className="text-soft">{name}</dt>
    <dd className="m-0 min-w-0">{children}</dd>
  </>
)

/** A key that may reveal tokens gets them in clear; the page shows one only where it is asked to. */
const masked = (token: string) => (token.includes('…') ? token : `${token.slice(0, 6)}…${token.slice(-4)}`)

function Actions({ user, etag }: { user: User; etag: string | undefined }) {
  const [dialog, setDialog] = useState<'disable' | 'rotate' | 'claim' | 'purge'>()
  const may = useMay()
  const save = useSave(user.id)
  const reveal = useReveal(user.id)
  return (
    <>
      {may('tokens:reveal') && (
        <Button disabled={reveal.isPending} onClick={() => reveal.mutate(undefined)}>
          {t.user.reveal}
        </Button>
      )}
      {may('tokens:reveal') && <Button onClick={() => setDialog('claim')}>{t.claim.title}</Button>}
      <Button onClick={() => setDialog('rotate')}>{t.user.rotate}</Button>
      {user.disabledAt === undefined ? (
        <Button look="stop" onClick={() => setDialog('disable')}>
          {t.user.disable}
        </Button>
      ) : (
        <Button
          look="main"
          disabled={save.isPending}
          onClick={() => save.mutate({ edit: { disabledAt: null, disabledReason: null }, etag })}
        >
          {t.user.enable}
        </Button>
      )}
      {may('users:purge') && user.disabledAt !== undefined && (
        <Button look="stop" onClick={() => setDialog('purge')}>
          {t.purge.act}
        </Button>
      )}
      {save.error && <Failed error={save.error} />}
      {reveal.error && <Failed error={reveal.error} />}
      {reveal.data && (
        <ShownSecret
          title={t.user.token}
          lead={t.user.revealed}
          secret={reveal.data.token}
          onClose={() => reveal.reset()}
        />
      )}
      {dialog === 'disable' && <DisableDialog user={user} onClose={() => setDialog(undefined)} />}
      {dialog === 'claim' && <ClaimDialog user={user} onClose={() => setDialog(undefined)} />}
      {dialog === 'purge' && <PurgeDialog user={user} onClose={() => setDialog(undefined)} />}
      {dialog === 'rotate' && <RotateDialog user={user} onClose={() => setDialog(undefined)} />}
    </>
  )
}

function Quotas({ user }: { user: User }) {
  const quota = useQuota(user.id)
  const may = useMay()
  const reset = useResetUsage(user.id)
  const [isAdding, setAdding] = useState(false)
  const limited =
    quota.data?.families.filter(
      ({ limit, used, reserved }) => limit !== undefined || used > 0 || reserved > 0,
    ) ?? []
  const extendable = (quota.data?.families ?? []).flatMap(({ family, limit }) =>
    limit === undefined ? [] : [family],
  )
  return (
    <Section
      title={t.user.quotas}
      actions={
        may('users:write') && (
          <span className="flex flex-wrap gap-2">
            <Button disabled={extendable.length === 0} onClick={() => setAdding(true)}>
              {t.user.addUnits}
            </Button>
            <Button disabled={reset.isPending} onClick={() => reset.mutate(undefined)}>
              {t.user.resetUsage}
            </Button>
          </span>
        )
      }
    >
      {reset.error && <Failed error={reset.error} />}
      {quota.data === undefined ? (
        <Pending query={quota} />
      ) : limited.length === 0 ? (
        <p className="m-0 text-soft">{t.user.noLimit}</p>
      ) : (
        <div className="flex flex-col gap-4">
          {limited.map((one) => (
            <QuotaBar key={one.family} quota={one} />
          ))}
        </div>
      )}
      {isAdding && <AddUnits id={user.id} families={extendable} onClose={() => setAdding(false)} />}
    </Section>
  )
}

function LatestRequests({ id }: { id: string }) {
  const requests = useRequests({ user: id }, 10)
  const rows = requests.data?.pages[0]?.requests
  return (
    <Section
      title={t.user.requests}
      actions={<Link href={`/requests?user=${id}`}>{t.user.allRequests}</Link>}
    >
      {rows === undefined ? (
        <Pending query={requests} />
      ) : rows.length === 0 ? (
        <p className="m-0 text-soft">{t.requests.empty}</p>
      ) : (
        <RequestRows rows={rows} isOfOne />
      )}
    </Section>
  )
}

function LatestChanges({ id }: { id: string }) {
  const changes = useChanges({ object: id }, 10)
  const rows = changes.data?.pages[0]?.changes
  return (
    <Section title={t.user.changes} actions={<Link href={`/audit?object=${id}`}>{t.user.allChanges}</Link>}>
      {rows === undefined ? (
        <Pending query={changes} />
      ) : rows.length === 0 ? (
        <p className="m-0 text-soft">{t.user.noChanges}</p>
      ) : (
        <ChangeRows rows={rows} />
      )}
    </Section>
  )
}
