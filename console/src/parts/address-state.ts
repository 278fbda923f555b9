import { useCallback, useMemo } from 'react'
import { useLocation, useSearch } from 'wouter'

/** The state of a list in the address: a link or a reload shows the same. */
export function useAddressState(): readonly [
  get: (name: string) => string,
  set: (values: Readonly<Record<string, string>>) => void,
] {
  const search = useSearch()
  const [path, go] = useLocation()
  const get = useCallback((name: string) => new URLSearchParams(search).get(name) ?? '', [search])
  const set = useCallback(
    (values: Readonly<Record<string, string>>) => {
      const next = new URLSearchParams(search)
      for (const [name, value] of Object.entries(values)) {
        if (value === '') next.delete(name)
        else next.set(name, value)
      }
      const text = next.toString()
      go(text ? `${path}?${text}` : path, { replace: true })
    },
    [search, path, go],
  )
  return [get, set]
}

/** Those of these names that the address gives a value: the filter that a list asks the server with. */
export function useAddressFilter(names: readonly string[]): Readonly<Record<string, string>> {
  const [get] = useAddressState()
  return useMemo(
    () =>
      Object.fromEntries(names.map((name) => [name, get(name)] as const).filter(([, value]) => value !== '')),
    [names, get],
  )
}
