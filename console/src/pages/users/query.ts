import { useInfiniteQuery } from '@tanstack/react-query'
import { answered, api } from '#api/client.ts'

/** The filters of the list as the address holds them; an empty one is left out. */
export const filterNames = ['q', 'type', 'state', 'tag', 'usedPercent', 'addresses'] as const
export type UserFilter = Readonly<Record<(typeof filterNames)[number], string>>

export const usersKey = ['users']

export function toQuery(filter: UserFilter): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ''))
}

/** The users that match, page by page; the rows move while one looks. */
export function useUsers(filter: UserFilter, sort: string) {
  return useInfiniteQuery({
    queryKey: [...usersKey, filter, sort],
    initialPageParam: '',
    queryFn: ({ pageParam, signal }) => {
      const query = { ...toQuery(filter), sort, limit: 50, ...(pageParam && { cursor: pageParam }) }
      return answered(api.GET('/admin/users', { params: { query: query as never }, signal }))
    },
    getNextPageParam: (last) => last.nextCursor,
    placeholderData: (before) => before,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : 10_000),
  })
}
