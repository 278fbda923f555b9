import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import type { Session } from '#api/client.ts'
import { useSignOut } from '#api/session.ts'
import { t } from '#words/words.ts'
import { Button } from './button.tsx'
import { Failed } from './page.tsx'
import { places } from './places.ts'

function useHealth() {
  return useQuery({
    queryKey: ['health'],
    queryFn: async () => (await fetch('/healthz')).ok,
    refetchInterval: 15_000,
    retry: false,
  })
}

/**
 * A page that is opened is read from its top, and the focus does not stay behind with what the page before took along.
 * Going back and forward is left to the browser, which knows where each page stood.
 */
function useArrival(path: string): void {
  const before = useRef(path)
  const isReturn = useRef(false)
  useEffect(() => {
    const onReturn = () => {
      isReturn.current = true
    }
    addEventListener('popstate', onReturn)
    return () => removeEventListener('popstate', onReturn)
  }, [])
  useEffect(() => {
    if (before.current === path) return
    before.current = path
    if (!isReturn.current) scrollTo(0, 0)
    isReturn.current = false
    if (document.activeElement === document.body)
      document.getElementById('content')?.focus({ preventScroll: true })
  }, [path])
}

/** The rail of pages beside one column of content; at the foot of narrow screens. */
export function Frame({ session, children }: { session: Session; children: ReactNode }) {
  const [path] = useLocation()
  const signOut = useSignOut()
  useArrival(path)
  const [isMore, setMore] = useState(false)
  const health = useHealth()
  const isWell = health.data !== false && !health.isError
  const allowed = places.filter(({ need }) => need === undefined || session.permissions.includes(need))
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
          href="/"
          className="mb-2 flex items-center gap-2 px-2 py-1 text-16 font-semibold text-text no-underline max-md:hidden"
        >
          <img src="/console/mark.svg" alt="" width="24" height="24" />
          <span className="max-lg:sr-only">{t.product}</span>
        </Link>
        {allowed.map(({ path: href, name, sign }) => (
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
        {signOut.error && <Failed error={signOut.error} />}
        {children}
      </main>
    </div>
  )
}
