import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query'
import { answered, api, Refusal, type Scope, type Session } from './client.ts'
import { useWrite } from './write.ts'

const current = ['session']

/** The session of this browser; null before the sign-in. */
export function useSession() {
  return useQuery({
    queryKey: current,
    queryFn: async (): Promise<Session | null> => {
      try {
        return await answered(api.GET('/admin/sessions/{id}', { params: { path: { id: 'current' } } }))
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) return null
        throw error
      }
    },
    staleTime: 60_000,
  })
}

/** Whether the session's key may do this. */
export function useMay(): (scope: Scope) => boolean {
  const { data } = useSession()
  return (scope) => data?.permissions.includes(scope) ?? false
}

/** What one session read may be more than the next one's key may see. */
function begin(queries: QueryClient, session: Session | null): void {
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== current[0] })
  queries.setQueryData(current, session)
}

export function useSignIn() {
  const queries = useQueryClient()
  return useWrite({
    mutationFn: ({ adminKey, code }: { adminKey: string; code: string }) =>
      answered(
        api.POST('/admin/sessions', {
          headers: { authorization: `Bearer ${adminKey}` },
          body: code === '' ? {} : { code },
        }),
      ),
    onSuccess: (session) => begin(queries, session),
  })
}

export function useSignOut() {
  const queries = useQueryClient()
  return useWrite({
    mutationFn: () => answered(api.DELETE('/admin/sessions/{id}', { params: { path: { id: 'current' } } })),
    // Not after a failure: the session would live on behind a page that says it has ended.
    onSuccess: () => begin(queries, null),
  })
}

/** To be called when an answer says that the session has ended. */
export const sessionKey = current
