import { renderRefusal } from '#admin/request/answer.ts'
import type { AdminContext } from '#admin/request/context.ts'
import type { Problem } from '#core/errors.ts'
import { signOnPath } from '#core/sign-on.ts'
import { renderPage } from './page.ts'

export function wantsPage(c: AdminContext): boolean {
  return (c.req.header('accept') ?? '').includes('text/html')
}

/** A page for a browser, and the common envelope for a program. */
export function renderSignOnProblem(c: AdminContext, problem: Problem, now: number): Response {
  const refusal = renderRefusal(c, problem, now)
  if (!wantsPage(c)) return refusal
  const { status, headers } = refusal
  const retryAfter = headers.get('retry-after')
  return renderPage({
    status,
    title: 'Not logged in',
    words: problem.message,
    link: { path: signOnPath, words: 'Begin again' },
    ...(retryAfter !== null && { headers: { 'retry-after': retryAfter } }),
  })
}
