import { readFileSync } from 'node:fs'

/** A public page or document: it describes the API and holds no data. */
export interface ReferencePage {
  readonly path: string
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** No foreign or inline resources, and no framing: an administrator types an admin key into this page. */
const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
}

/** The contract as given, the description made from the code, and the page that shows it. */
export function openReference(contractText: string, description: unknown): readonly ReferencePage[] {
  const asset = (name: string) => readFileSync(new URL(`./docs-page/${name}`, import.meta.url), 'utf8')
  return [
    { path: '/openapi.json', type: 'application/json', text: JSON.stringify(description) },
    { path: '/contract.yaml', type: 'application/yaml', text: contractText },
    { path: '/docs', type: 'text/html; charset=utf-8', text: asset('page.html'), headers: pageHeaders },
    { path: '/docs/page.css', type: 'text/css; charset=utf-8', text: asset('page.css') },
    { path: '/docs/page.js', type: 'text/javascript; charset=utf-8', text: asset('page.js') },
  ]
}
