import assert from 'node:assert/strict'

/** As much of a browser as a sign-on needs: cookies with their paths, and redirects one by one. */
export class Browser {
  readonly #cookies = new Map<
    string,
    { readonly name: string; readonly value: string; readonly path: string }
  >()

  async open(url: string, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url)
    const cookie = [...this.#cookies.values()]
      .filter(({ path }) => pathname.startsWith(path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
    const headers = { accept: 'text/html', ...(cookie !== '' && { cookie }), ...init.headers }
    const response = await fetch(url, { ...init, redirect: 'manual', headers })
    for (const line of response.headers.getSetCookie()) this.#take(line)
    return response
  }

  cookie(name: string): string | undefined {
    return [...this.#cookies.values()].find((each) => each.name === name)?.value
  }

  set(name: string, value: string): void {
    this.#cookies.set(`${name} /`, { name, value, path: '/' })
  }

  #take(line: string): void {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    const path = /;\s*path=([^;]+)/i.exec(line)?.[1] ?? '/'
    const isOver = /;\s*max-age=0(?:;|$)/i.test(line) || /;\s*expires=thu, 01 jan 1970/i.test(line)
    if (isOver) this.#cookies.delete(`${name} ${path}`)
    else this.#cookies.set(`${name} ${path}`, { name, value, path })
  }
}

/**
 * Begins a sign-on and logs in at the provider.
 *
 * @returns the address with which the provider sends the browser back; it is not opened
 */
export async function signInAt(browser: Browser, url: string, person: string): Promise<string> {
  const begun = await browser.open(url)
  assert.equal(begun.status, 302, await begun.text())
  return atProvider(browser, begun.headers.get('location') ?? assert.fail(), person)
}

/** From the provider's first address on. */
export async function atProvider(browser: Browser, first: string, person: string): Promise<string> {
  let url = first
  for (let step = 0; step < 10; step++) {
    if (new URL(url).pathname.endsWith('/callback')) return url
    const answer = await browser.open(url)
    const location = answer.headers.get('location')
    if (location !== null) {
      url = new URL(location, url).href
      continue
    }
    const form = /<form[^>]*action="([^"]+)"/.exec(await answer.text())?.[1]
    assert.ok(form !== undefined, `${answer.status} without a form at ${url}`)
    const body = new URLSearchParams({ prompt: 'login', login: person, password: 'any' })
    const posted = await browser.open(new URL(form, url).href, { method: 'POST', body })
    url = new URL(posted.headers.get('location') ?? assert.fail(`${posted.status}`), url).href
  }
  return assert.fail('the provider does not come to an end')
}
