import { pageHeaders } from '#http/security-headers.ts'

/** What a person sees at the end of a sign-on: words and a link, without scripts. */
interface Page {
  readonly status: number
  readonly title: string
  readonly words: string
  /** A path of this host. */
  readonly link: { readonly path: string; readonly words: string }
  /** Whether the browser goes there by itself. */
  readonly goesOn?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * The browser goes on from a page and not by a redirect: it would not send a session's cookie with a redirect that the
 * provider's page began.
 */
export function renderPage({ status, title, words, link, goesOn = false, headers = {} }: Page): Response {
  const path = escaped(link.path)
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} · Tollgate</title>
${goesOn ? `<meta http-equiv="refresh" content="0; url=${path}">` : ''}
</head>
<body>
<h1>${escaped(title)}</h1>
<p>${escaped(words)}</p>
<p><a href="${path}">${escaped(link.words)}</a></p>
</body>
</html>
`
  return new Response(html, {
    status,
    headers: { ...pageHeaders, ...headers, 'content-type': 'text/html; charset=utf-8' },
  })
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}
