import { useQuery } from '@tanstack/react-query'

interface Description {
  readonly paths: object
  readonly components: { readonly schemas: { readonly TokenLimits: { readonly properties: object } } }
}

/** What this server says of its own API: its families and its routes depend on its settings. */
function useDescription(): Description | undefined {
  const { data } = useQuery({
    queryKey: ['description'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async () => (await (await fetch('/openapi.json')).json()) as Description,
  })
  return data
}

/** The families of this server; empty until they are known. */
export function useFamilies(): readonly string[] {
  const description = useDescription()
  return description ? Object.keys(description.components.schemas.TokenLimits.properties) : []
}

export function useHasRoute(path: string): boolean {
  const description = useDescription()
  return description !== undefined && path in description.paths
}
