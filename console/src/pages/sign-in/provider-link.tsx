import { useQuery } from '@tanstack/react-query'
import { t } from '#words/words.ts'

const path = '/admin/sessions/sign-on'

/** Where the server is set up for single sign-on, its description of the API has the route. */
export function ProviderLink() {
  const { data } = useQuery({
    queryKey: ['sign-on'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => {
      const { paths } = (await (await fetch('/openapi.json')).json()) as { readonly paths: object }
      return path in paths
    },
  })
  if (!data) return null
  return (
    <a href={`${path}?returnTo=${encodeURIComponent(location.pathname + location.search)}`}>
      {t.signIn.provider}
    </a>
  )
}
