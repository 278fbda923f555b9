import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Scope, Session } from '#api/client.ts'
import { useSignOut } from '#api/session.ts'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'

const places: readonly (readonly [path: string, name: string, sign: string, need?: Scope])[] = [
  ['/overview', t.nav.overview, 'M4 13h6V4H4zm0 7h6v-5H4zm8 0h8v-9h-8zm0-16v5h8V4z', 'usage:read'],
  ['/users', t.nav.users, 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8m-8 8c0-3 4-5 8-5s8 2 8 5z', 'users:read'],
  ['/usage', t.nav.usage, 'M4 20V10h4v10zm6 0V4h4v16zm6 0v-7h4v7z', 'usage:read'],
  ['/requests', t.nav.requests, 'M4 6h16v2H4zm0 5h16v2H4zm0 5h10v2H4z', 'usage:read'],
  ['/audit', t.nav.audit, 'M6 3h9l4 4v14H6zm3 8v2h7v-2zm0 4v2h7v-2z', 'audit:read'],
  [
    '/keys',
    t.nav.keys,
    'M8 17a5 5 0 1 1 4.6-7H21v4h-2v3h-4v-3h-2.4A5 5 0 0 1 8 17m0-3a2 2 0 1 0 0-4 2 2 0 0 0 0 4',
  ],
  [
    '/settings',
    t.nav.settings,
    'M4 7h9v2H4zm13-1a2 2 0 1 1 0 4 2 2 0 0 1 0-4M4 15h5v2H4zm9-1a2 2 0 1 1 0 4 2 2 0 0 1 0-4m4 1h3v2h-3z',
    'settings:read',
  ],
]

function useHealth() {
  return useQuery({
    queryKey: ['health'],
    queryFn: async () => (await fetch('/healthz')).ok,
    refetchInterval: 15_000,
    retry: false,
  })
}

/** The rail of pages beside one column of content; at the foot of narrow screens. */
export function Frame({ session, children }: { session: Session; children: ReactNode }) {
  const [path] = useLocation()
  const signOut = useSignOut()
  const [isMore, setMore] = useState(false)
  const health = useHealth()
  const isWell = health.data !== false && !health.isError
  const allowed = places.filter(([, , , need]) => need === undefined || session.permissions.includes(need))
  return (
    <div className="min-h-dvh md:grid md:grid-cols-[56px_minmax(0,1fr)] lg:grid-cols-[208px_minmax(0,1fr)]">
      <a
        href="#content"
        className="absolute start-2 top-2 z-20 -translate-y-16 rounded-6 bg-raised px-3 py-2 focus:translate-y-0"
      >
        {t.nav.skip}
      </a>
      <nav
        aria-label={t.nav.label}
        className="z-10 flex border-line bg-quiet max-md:fixed max-md:inset-x-0 max-md:bottom-0 max-md:overflow-x-auto max-md:border-t md:sticky md:top-0 md:h-dvh md:flex-col md:gap-1 md:border-e md:p-2"
      >
        <Link
          href="/overview"
          className="mb-2 flex items-center gap-2 px-2 py-1 text-16 font-semibold text-text no-underline max-md:hidden"
        >
          <img src="/console/mark.svg" alt="" width="24" height="24" />
          <span className="max-lg:sr-only">{t.product}</span>
        </Link>
        {allowed.map(([href, name, sign]) => (
          <Link
            key={href}
            href={href}
            title={name}
            aria-current={path.startsWith(href) ? 'page' : undefined}
            className="flex items-center gap-3 rounded-6 px-2 py-2 text-14 text-text no-underline hover:bg-raised aria-[current]:bg-accent-quiet aria-[current]:font-medium aria-[current]:text-accent max-md:min-w-16 max-md:flex-1 max-md:flex-col max-md:gap-0 max-md:text-12"
          >
            <svg viewBox="0 0 24 24" className="size-5 shrink-0 fill-current" aria-hidden="true">
              <path d={sign} />
            </svg>
            <span className="md:max-lg:sr-only max-md:max-w-20 max-md:truncate">{name}</span>
          </Link>
        ))}
        <div className="mt-auto flex flex-col gap-2 border-t border-line pt-2 text-12 text-soft max-lg:hidden">
          <span className="inline-flex items-center gap-2 px-2" role="status">
            <span aria-hidden="true" className={`size-2 rounded-full ${isWell ? 'bg-accent' : 'bg-stop'}`} />
            {isWell ? t.nav.healthy : t.nav.unhealthy}
          </span>
          <a href="/docs" className="px-2">
            {t.nav.api}
          </a>
          <span className="px-2 [overflow-wrap:anywhere]">{t.nav.signedInWith(session.key.name)}</span>
        </div>
        <div className="max-lg:mt-auto max-md:hidden">
          <Button look="bare" className="w-full max-lg:hidden" onClick={() => signOut.mutate()}>
            {t.nav.signOut}
          </Button>
        </div>
        <button
          type="button"
          title={t.nav.signOut}
          aria-label={t.nav.signOut}
          onClick={() => (isMore ? signOut.mutate() : setMore(true))}
          onBlur={() => setMore(false)}
          className="rounded-6 border-0 bg-transparent px-3 py-2 text-text lg:hidden"
        >
          {isMore ? t.nav.signOut : '⏻'}
        </button>
      </nav>
      <main
        id="content"
        tabIndex={-1}
        className="mx-auto w-full max-w-[1200px] min-w-0 px-4 py-6 outline-none max-md:pb-24 md:px-8"
      >
        {children}
      </main>
    </div>
  )
}
