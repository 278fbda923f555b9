const kept = 'tollgate-scheme'

export type Scheme = 'system' | 'light' | 'dark'

export const schemeNow = (): Scheme => (localStorage.getItem(kept) as Scheme | null) ?? 'system'

export function applyScheme(scheme: Scheme = schemeNow()): void {
  localStorage.setItem(kept, scheme)
  if (scheme === 'system') delete document.documentElement.dataset.scheme
  else document.documentElement.dataset.scheme = scheme
}
