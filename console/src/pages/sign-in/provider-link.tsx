import { useHasRoute } from '#api/description.ts'
import { t } from '#words/words.ts'

const path = '/admin/sessions/sign-on'

/** Where the server is set up for single sign-on, its description of the API has the route. */
export function ProviderLink() {
  if (!useHasRoute(path)) return null
  return (
    <a href={`${path}?returnTo=${encodeURIComponent(location.pathname + location.search)}`}>
      {t.signIn.provider}
    </a>
  )
}
