import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { answered, api, Refusal, type Scope, type Session } from './client.ts'

const current = ['session']

/** The session of this browser; null where nobody is signed in. */
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

export function useSignIn() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: ({ adminKey, code }: { adminKey: string; code: string }) =>
      answered(
        api.POST('/admin/sessions', {
          headers: { authorization: `Bearer ${adminKey}` },
          body: code === '' ? {} : { code },
        }),
      ),
    onSuccess: (session) => queries.setQueryData(current, session),
  })
}

export function useSignOut() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: () => answered(api.DELETE('/admin/sessions/{id}', { params: { path: { id: 'current' } } })),
    onSettled: () => {
      queries.clear()
      queries.setQueryData(current, null)
    },
  })
}

/** To be called when an answer says that the session has ended. */
export const sessionKey = current
