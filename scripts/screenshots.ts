import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'

/**
 * Takes a picture of every page of the console, light and dark, wide and narrow, from a demo with some traffic:
 * `node scripts/screenshots.ts FOLDER`. With `--docs` it takes those of the documentation, into docs/images. CHROMIUM
 * names the browser's program.
 */
const isForDocs = process.argv[2] === '--docs'
const images = join(import.meta.dirname, '..', 'docs', 'images')
const folder = isForDocs ? images : (process.argv[2] ?? join(tmpdir(), 'tollgate-screenshots'))
const port = 5700 + (process.pid % 100)
const url = `http://127.0.0.1:${port}`
const adminKey = 'demo-admin-key-1'

const pages: readonly (readonly [name: string, path: (userId: string) => string])[] = [
  ['overview', () => '/overview'],
  ['users', () => '/users'],
  ['users-none', () => '/users?q=no-such-user'],
  ['user', (id) => `/users/${id}`],
  ['create', () => '/users/new'],
  ['usage', () => '/usage?group=model'],
  ['requests', () => '/requests'],
  ['audit', () => '/audit'],
  ['keys', () => '/keys'],
  ['settings', () => '/settings'],
]

async function ask(token: string, model: string): Promise<void> {
  const path = model.startsWith('claude') ? '/v1/messages' : '/v1/chat/completions'
  await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: 200, messages: [{ role: 'user', content: 'Say hello.' }] }),
  }).then((answer) => answer.text())
}

async function admin(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return (await answer.json()) as Record<string, unknown>
}

const soon = Date.now() + 2 * 86_400_000

/** For the documentation: a team as an operator might have it. */
const team = [
  {
    token: 'shot-1',
    nickname: 'Zoe',
    tags: ['search'],
    period: 'daily',
    tokenLimits: { turbo: 600, claude: 20_000 },
  },
  { token: 'shot-2', nickname: 'Nightly evaluation', type: 'special', tags: ['batch'] },
  {
    token: 'shot-3',
    nickname: 'Workshop seat 4',
    type: 'temporary',
    expiresAt: soon,
    tokenLimits: { turbo: 5_000 },
  },
  {
    token: 'shot-4',
    nickname: 'Old chat bot',
    disabledAt: Date.now(),
    disabledReason: 'Replaced by the new one',
  },
  {
    token: 'shot-5',
    nickname: 'Mira',
    tags: ['search', 'trial'],
    period: 'weekly',
    tokenLimits: { turbo: 2_000 },
  },
]

/** For the eye of a reviewer: users of every kind, with names that test the layout. */
const hard = [
  { token: 'shot-1', nickname: 'Zoe', tags: ['team:search', 'trial'], tokenLimits: { turbo: 2_000 } },
  {
    token: 'shot-2',
    nickname: 'Wolfeschlegelsteinhausenbergerdorff the Elder of the very long names',
    type: 'special',
  },
  { token: 'shot-3', nickname: 'ليلى', type: 'temporary', expiresAt: soon },
  {
    token: 'shot-4',
    nickname: '<img src=x onerror=alert(1)>',
    disabledAt: Date.now(),
    disabledReason: 'Left.',
  },
  { token: 'shot-5' },
]

/** Makes users and some requests. Returns the id of one of them. */
async function fill(): Promise<string> {
  await admin('PUT', '/admin/users', { users: isForDocs ? team : hard })
  for (let round = 0; round < 6; round++)
    for (const token of ['shot-1', 'shot-1', 'shot-2', 'demo-ann', 'shot-3', 'shot-5'])
      for (const model of ['gpt-4o-mini', 'claude-sonnet-5']) await ask(token, model)
  const { id } = await admin('GET', '/admin/users/shot-1')
  return String(id)
}

async function signIn(page: Page): Promise<void> {
  await page.goto(`${url}/console`)
  await page.getByLabel('Admin key').fill(adminKey)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation').waitFor()
}

async function takeForDocs(browser: Browser, userId: string): Promise<void> {
  const context = await browser.newContext({ colorScheme: 'light', viewport: { width: 1200, height: 720 } })
  const page = await context.newPage()
  await signIn(page)
  for (const [name, path] of pages.filter(([name]) => ['overview', 'users', 'user'].includes(name))) {
    await page.goto(`${url}/console${path(userId)}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.waitForTimeout(700)
    await page.screenshot({ path: join(folder, `console-${name}.png`) })
  }
  await context.close()
}

async function takeAll(browser: Browser, userId: string): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1440, 360]) {
      const context = await browser.newContext({
        colorScheme,
        viewport: { width, height: width === 360 ? 740 : 900 },
        locale: 'en-GB',
      })
      const page = await context.newPage()
      const shoot = (name: string) =>
        page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true })
      await page.goto(`${url}/console`)
      await page.getByLabel('Admin key').waitFor()
      await shoot('sign-in')
      await signIn(page)
      for (const [name, path] of pages) {
        await page.goto(`${url}/console${path(userId)}`)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await page.waitForTimeout(700)
        await shoot(name)
      }
      await context.close()
    }
}

mkdirSync(folder, { recursive: true })
const dataDir = mkdtempSync(join(tmpdir(), 'tollgate-screenshots-'))
const server = spawn(process.execPath, [join(import.meta.dirname, '..', 'src', 'main.ts'), '--demo'], {
  env: { ...process.env, PORT: String(port), DATA_DIR: dataDir },
  stdio: 'ignore',
})
try {
  while (
    !(await fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    ))
  )
    await new Promise((resolve) => setTimeout(resolve, 200))
  const userId = await fill()
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium' })
  await (isForDocs ? takeForDocs : takeAll)(browser, userId)
  await browser.close()
  console.info(folder)
} finally {
  server.kill('SIGTERM')
  rmSync(dataDir, { recursive: true, force: true })
}
