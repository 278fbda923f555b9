import { lazy, Suspense } from 'react'
import { Redirect, Route, Switch, useLocation } from 'wouter'
import { useSession } from '#api/session.ts'
import { Overview } from '#pages/overview/overview.tsx'
import { SignIn } from '#pages/sign-in/sign-in.tsx'
import { Users } from '#pages/users/users.tsx'
import { ButtonLink } from '#parts/button.tsx'
import { Catch } from '#parts/catch.tsx'
import { Frame } from '#parts/frame.tsx'
import { Empty, Loading, Page, Pending } from '#parts/page.tsx'
import { homeOf, needOf } from '#parts/places.ts'
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
  const [path] = useLocation()
  if (session.data === undefined)
    return (
      <main className="p-8">
        <Pending query={session} />
      </main>
    )
  if (session.data === null) return <SignIn />
  const { permissions } = session.data
  const need = needOf(path)
  if (need !== undefined && !permissions.includes(need))
    return (
      <Frame session={session.data}>
        <Page title={t.state.notAllowed}>
          <Empty title={t.state.needs(need)}>
            <ButtonLink href={homeOf(permissions)}>{t.state.toHome}</ButtonLink>
          </Empty>
        </Page>
      </Frame>
    )
  return (
    <Frame session={session.data}>
      <Catch key={path}>
        <Suspense fallback={<Loading />}>
          <Switch>
            <Route path="/">
              <Redirect to={homeOf(permissions)} replace />
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
                  <ButtonLink href={homeOf(permissions)}>{t.state.toHome}</ButtonLink>
                </Empty>
              </Page>
            </Route>
          </Switch>
        </Suspense>
      </Catch>
    </Frame>
  )
}
