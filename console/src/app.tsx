import { lazy, Suspense } from 'react'
import { Redirect, Route, Switch } from 'wouter'
import { useSession } from '#api/session.ts'
import { Overview } from '#pages/overview/overview.tsx'
import { SignIn } from '#pages/sign-in/sign-in.tsx'
import { Users } from '#pages/users/users.tsx'
import { ButtonLink } from '#parts/button.tsx'
import { Frame } from '#parts/frame.tsx'
import { Empty, Loading, Page, Pending } from '#parts/page.tsx'
import { t } from '#words/words.ts'

const UserPage = lazy(async () => ({ default: (await import('#pages/user/user.tsx')).UserPage }))
const Create = lazy(async () => ({ default: (await import('#pages/create/create.tsx')).Create }))
const Usage = lazy(async () => ({ default: (await import('#pages/usage/usage.tsx')).Usage }))
const Requests = lazy(async () => ({ default: (await import('#pages/requests/requests.tsx')).Requests }))
const Audit = lazy(async () => ({ default: (await import('#pages/audit/audit.tsx')).Audit }))
const Keys = lazy(async () => ({ default: (await import('#pages/keys/keys.tsx')).Keys }))
const Settings = lazy(async () => ({ default: (await import('#pages/settings/settings.tsx')).Settings }))

export function App() {
  const session = useSession()
  if (session.data === undefined)
    return (
      <main className="p-8">
        <Pending query={session} />
      </main>
    )
  if (session.data === null) return <SignIn />
  return (
    <Frame session={session.data}>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/">
            <Redirect to="/overview" replace />
          </Route>
          <Route path="/overview" component={Overview} />
          <Route path="/users" component={Users} />
          <Route path="/users/new" component={Create} />
          <Route path="/users/:id">{({ id }) => <UserPage key={id} id={id} />}</Route>
          <Route path="/usage" component={Usage} />
          <Route path="/requests" component={Requests} />
          <Route path="/audit" component={Audit} />
          <Route path="/keys" component={Keys} />
          <Route path="/settings" component={Settings} />
          <Route>
            <Page title={t.state.notFound}>
              <Empty title={t.state.notFound}>
                <ButtonLink href="/users">{t.state.toUsers}</ButtonLink>
              </Empty>
            </Page>
          </Route>
        </Switch>
      </Suspense>
    </Frame>
  )
}
