import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { needProgram } from './debian.ts'

/** Debian's Chromium, without a window. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: needProgram('chromium'), args: ['--no-sandbox'] })
}

export interface Watched {
  readonly context: BrowserContext
  readonly page: Page
  /** What no page may do: errors, refused resources, requests to another origin. */
  readonly faults: () => readonly string[]
}

/** A browser context of its own, as of another person, whose faults are collected. */
export async function openPage(
  browser: Browser,
  origin: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Watched> {
  const context = await browser.newContext({ locale: 'en-US', baseURL: origin, ...options })
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`))
  page.on('request', (request) => {
    const url = request.url()
    if (!url.startsWith(origin) && !url.startsWith('data:')) faults.push(`leaves the origin: ${url}`)
  })
  page.on('console', (message) => {
    // The browser itself reports refusals of the server this way; those are answers, and the page shows them.
    const isRefusal = message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isRefusal) faults.push(`console: ${message.text()}`)
  })
  return { context, page, faults: () => faults }
}

/** What axe finds on the page as it stands, of any severity: rule and place. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source)
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<axe.AxeResults> } }
    return (await axe.run()).violations
  })
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`))
}
