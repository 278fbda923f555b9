import { readFileSync } from 'node:fs'
import { pageHeaders } from '#http/security-headers.ts'

/** A public page or document: it describes the API and holds no data. */
export interface ReferencePage {
  readonly path: string
  readonly type: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
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
