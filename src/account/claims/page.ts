import { readFileSync } from 'node:fs'
import type { PlainRoute } from '#http/plain-app.ts'
import { pageHeaders } from '#http/security-headers.ts'

/** The page of a link and its two files: the same for every link, without anything of a user. */
export function createPageRoutes(): readonly PlainRoute[] {
  return [
    file('/claim', 'page.html', { ...pageHeaders, 'content-type': 'text/html; charset=utf-8' }),
    file('/claim/page.css', 'page.css', { 'content-type': 'text/css; charset=utf-8' }),
    file('/claim/page.js', 'page.js', { 'content-type': 'text/javascript; charset=utf-8' }),
  ]
}

function file(path: string, name: string, headers: Readonly<Record<string, string>>): PlainRoute {
  const text = readFileSync(new URL(`./page/${name}`, import.meta.url), 'utf8')
  return {
    methods: ['GET', 'HEAD'],
    template: path,
    pattern: new RegExp(`^${path.replace('.', '\\.')}$`),
    handle: () => ({ kind: 'answered', status: 200, headers, text }),
    isQuiet: true,
  }
}
