import { useQuery, useQueryClient } from '@tanstack/react-query'
import { answered, api, type UserEdit, withVersion } from '#api/client.ts'
import { useWrite } from '#api/write.ts'

const userKey = (id: string) => ['user', id]
const path = (token: string) => ({ path: { token } })

/** One user with the version that a save must name. */
export function useUser(id: string) {
  return useQuery({
    queryKey: userKey(id),
    queryFn: () => withVersion(api.GET('/admin/users/{token}', { params: path(id) })),
    refetchInterval: 10_000,
  })
}

export function useQuota(id: string) {
  return useQuery({
    queryKey: [...userKey(id), 'quota'],
    queryFn: () => answered(api.GET('/admin/users/{token}/quota', { params: path(id) })),
    refetchInterval: 5_000,
  })
}

export function useUserUsage(id: string) {
  return useQuery({
    queryKey: [...userKey(id), 'usage'],
    queryFn: () =>
      answered(
        api.GET('/admin/users/{token}/usage', {
          params: {
            ...path(id),
            query: { bucket: 'day', from: String(Date.now() - 13 * 86_400_000), groupBy: 'family' },
          },
        }),
      ),
    refetchInterval: 30_000,
  })
}

/** A write to one user; everything that shows the user is read again. */
function useUserWrite<Input, Output>(id: string, write: (input: Input) => Promise<Output>) {
  const queries = useQueryClient()
  return useWrite({
    mutationFn: write,
    // Also after a refusal: what another administrator changed meanwhile is to be seen.
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: userKey(id) }),
        queries.invalidateQueries({ queryKey: ['users'] }),
      ]),
  })
}

export const useSave = (id: string) =>
  useUserWrite(id, ({ edit, etag }: { edit: UserEdit; etag: string | undefined }) =>
    withVersion(
      api.PUT('/admin/users/{token}', {
        params: { ...path(id), ...(etag !== undefined && { header: { 'If-Match': etag } }) },
        body: edit,
      }),
    ),
  )

export const useDisable = (id: string) =>
  useUserWrite(id, (disabledReason: string) =>
    answered(
      api.DELETE('/admin/users/{token}', {
        params: { ...path(id), query: disabledReason === '' ? {} : { disabledReason } },
      }),
    ),
  )

export const useRotate = (id: string) =>
  useUserWrite(id, (previousUntil: number | null) =>
    answered(api.POST('/admin/users/{token}/rotate', { params: path(id), body: { previousUntil } })),
  )

export const useReveal = (id: string) =>
  useUserWrite(id, () => answered(api.POST('/admin/users/{token}/reveal', { params: path(id) })))

export const useClaim = (id: string) =>
  useUserWrite(id, (body: { readonly validMinutes: number; readonly rotate: boolean }) =>
    answered(api.POST('/admin/users/{token}/claim', { params: path(id), body })),
  )

export const usePurge = (id: string) =>
  useUserWrite(id, () => answered(api.POST('/admin/users/{token}/purge', { params: path(id), body: { id } })))

export const useAddUnits = (id: string) =>
  useUserWrite(id, ({ family, units }: { family: string; units: number }) =>
    answered(
      api.POST('/admin/users/{token}/quota/add', { params: path(id), body: { family, units } as never }),
    ),
  )

export const useResetUsage = (id: string) =>
  useUserWrite(id, () =>
    answered(api.POST('/admin/users/{token}/quota/reset', { params: path(id), body: {} })),
  )
