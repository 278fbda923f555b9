import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { accessibilityFaults, openBrowser, openPage, type Watched } from '../support/chromium.ts'
import { openPlanes, type Planes, planesAdminKey } from '../support/planes.ts'
import { anyDatabase, databases } from '../support/stores.ts'

/** The console in a real browser, on a real server with its gateway and a simulated upstream. */
for (const kind of databases) {
  describe(`console, ${kind.name}`, { timeout: 240_000 }, () => {
    let browser: Browser
    let upstream: Awaited<ReturnType<typeof openSimulatedUpstream>>
    let planes: Planes

    before(async () => {
      browser = await openBrowser()
      upstream = await openSimulatedUpstream({ port: 0 })
      planes = await openPlanes(kind, { OPENAI_BASE_URL: `${upstream.url}/v1` })
    })
    after(async () => {
      await browser?.close()
      await planes?.close()
      await upstream?.close()
    })

    async function signedIn(path = '/console/overview'): Promise<Watched> {
      const watched = await openPage(browser, planes.origin)
      await watched.page.goto(path)
      await signIn(watched.page)
      return watched
    }

    const admin = (method: string, path: string, body?: object) =>
      fetch(planes.origin + path, {
        method,
        headers: { authorization: `Bearer ${planesAdminKey}`, 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      }).then((answer) => answer.json() as Promise<Record<string, unknown>>)

    const ask = (accessToken: string) =>
      fetch(`${planes.origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'gpt-4o-mini',
          max_tokens: 50,
          messages: [{ role: 'user', content: 'Hi' }],
        }),
      })

    async function make(edit: object): Promise<{ readonly id: string; readonly token: string }> {
      return (await admin('POST', '/admin/users', edit)) as { id: string; token: string }
    }

    it('goes from nothing to the first metered request, by keyboard alone', async () => {
      const { page, faults, context } = await openPage(browser, planes.origin)
      await page.goto('/console')
      await page.getByLabel('Admin key').waitFor()
      await page.keyboard.type('not-the-admin-key')
      await page.keyboard.press('Enter')
      await page.getByText('The server does not know this admin key.').waitFor()
      await page.getByLabel('Admin key').fill('')
      await page.keyboard.type(planesAdminKey)
      await page.keyboard.press('Enter')
      await page.getByText('No request has come in yet').waitFor()
      await page.getByRole('link', { name: 'Create the first user' }).focus()
      await page.keyboard.press('Enter')
      await page.getByLabel('Name').focus()
      await page.keyboard.type('Zoe')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Zoe can connect now' }).waitFor()
      const token = (await page.locator('code').first().textContent()) ?? ''
      assert.match(token, /^sk-tg-/)
      assert.ok((await page.locator('pre').textContent())?.includes(token), 'the kit holds the token')
      await page.getByText('Waiting for the first request…').waitFor()
      assert.equal((await ask(token)).status, 200)
      await page.getByText('The first request has come in.').waitFor()
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('creates users of each type, and shows the message of the server at the field', async () => {
      const { page, faults, context } = await signedIn('/console/users/new')
      await page.getByLabel('Name').fill('Special one')
      await page.getByLabel('Type').selectOption('special')
      await page.getByRole('button', { name: 'Create user' }).click()
      await page.getByRole('heading', { name: 'Special one can connect now' }).waitFor()
      await page.getByRole('button', { name: 'Create another' }).click()
      await page.getByLabel('Type').selectOption('temporary')
      await page.getByRole('button', { name: 'Create user' }).click()
      await page.getByLabel('Expires').and(page.locator('[aria-invalid]')).waitFor()
      await page.getByLabel('Expires').fill('2199-01-01T10:00')
      await page.getByLabel('Name').fill('Temporary one')
      await page.getByRole('button', { name: 'Create user' }).click()
      await page.getByRole('heading', { name: 'Temporary one can connect now' }).waitFor()
      const { users } = (await admin('GET', '/admin/users?q=one')) as {
        users: { nickname: string; type: string }[]
      }
      const made = users.map(({ nickname, type }) => `${nickname}: ${type}`).sort()
      assert.deepEqual(made, ['Special one: special', 'Temporary one: temporary'])
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('searches, and disables the selected users with a reason, and undoes it', async () => {
      const names = Array.from({ length: 12 }, (_, index) => `bulk ${index}`)
      await admin('PUT', '/admin/users', {
        users: names.map((nickname) => ({ token: `token of ${nickname}`, nickname })),
      })
      const { page, faults, context } = await signedIn('/console/users')
      await page.getByLabel('Search users').fill('bulk ')
      await page.getByText('12 of 12').waitFor()
      assert.match(page.url(), /q=bulk/, 'the search stands in the address')
      await page.getByLabel('Select all that are shown').check()
      await page.getByRole('button', { name: 'Disable', exact: true }).click()
      await page.getByLabel('Reason, shown to the holder').fill('Project over')
      await page.getByRole('button', { name: 'Disable: 12 users' }).click()
      await page.getByText('12 users changed.').waitFor()
      await page.getByRole('cell', { name: 'Disabled: Project over' }).nth(11).waitFor()
      await page.getByRole('button', { name: 'Undo' }).click()
      await page.getByText('Undone for 12 users.').waitFor()
      await page.getByRole('cell', { name: 'Active' }).nth(11).waitFor()
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('edits a limit, after which a request is refused', async () => {
      const { id, token } = await make({ nickname: 'Limited' })
      assert.equal((await ask(token)).status, 200)
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      await page.getByLabel('turbo: units a period').fill('1')
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('Saved.').waitFor()
      assert.equal((await ask(token)).status, 429)
      await page.getByText('Spent').waitFor()
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('rotates a token with a grace: both work; disabling stops both, with the reason shown', async () => {
      const { id, token } = await make({ nickname: 'Rotated' })
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      await page.getByRole('button', { name: 'Rotate token' }).click()
      await page.getByLabel('The present token works for').selectOption('day')
      await page.getByRole('dialog').getByRole('button', { name: 'Rotate token' }).click()
      const next = (await page.getByRole('dialog').locator('code').first().textContent()) ?? ''
      assert.notEqual(next, token)
      assert.equal((await ask(token)).status, 200)
      assert.equal((await ask(next)).status, 200)
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()
      await page.getByRole('button', { name: 'Disable', exact: true }).click()
      await page.getByLabel('Reason, shown to the holder').fill('Left the team')
      await page.getByRole('button', { name: 'Disable Rotated' }).click()
      await page.getByText('Disabled: Left the team').waitFor()
      assert.equal((await ask(token)).status, 403)
      assert.equal((await ask(next)).status, 403)
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('makes a link that shows the token once, and purges the user whose name is typed', async () => {
      const { id, token } = await make({ nickname: 'Leaving' })
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      await page.getByRole('button', { name: 'Link for the holder' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Link for the holder' }).click()
      const link = (await page.getByRole('dialog').locator('code').textContent()) ?? ''
      const holder = await openPage(browser, planes.origin)
      await holder.page.goto(link)
      await holder.page.getByRole('button').first().click()
      await holder.page.getByText(token).first().waitFor()
      assert.deepEqual(holder.faults(), [])
      await holder.context.close()
      await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click()
      await page.getByRole('button', { name: 'Disable', exact: true }).click()
      await page.getByRole('button', { name: 'Disable Leaving' }).click()
      await page.getByRole('button', { name: 'Purge' }).click()
      const purge = page.getByRole('button', { name: 'Purge Leaving' })
      assert.ok(await purge.isDisabled(), 'the name was not typed yet')
      await page.getByLabel('Type Leaving to go on').fill('Leaving')
      await purge.click()
      await page.getByRole('heading', { name: 'Users' }).waitFor()
      assert.equal((await ask(token)).status, 401)
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('shows both values where two administrators edit one user', async () => {
      const { id } = await make({ nickname: 'Contested' })
      const [one, other] = [await signedIn(`/console/users/${id}`), await signedIn(`/console/users/${id}`)]
      await one.page.getByLabel('Name').fill('Mine')
      await other.page.getByLabel('Name').fill('Theirs')
      await other.page.getByRole('button', { name: 'Save' }).click()
      await other.page.getByText('Saved.').waitFor()
      await one.page.getByRole('button', { name: 'Save' }).click()
      await one.page.getByText('was changed by another administrator').waitFor()
      await one.page.getByText('now Theirs').waitFor()
      await one.page.getByRole('button', { name: 'Save mine over it' }).click()
      await one.page.getByRole('heading', { name: 'Mine' }).waitFor()
      assert.deepEqual([...one.faults(), ...other.faults()], [])
      await one.context.close()
      await other.context.close()
    })

    it('names the version of each save in the next one', async () => {
      const { id } = await make({ nickname: 'Saved twice' })
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      await page.getByLabel('Name').fill('Saved once')
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('Saved.').waitFor()
      await page.getByLabel('Name').fill('Mine again')
      await admin('PUT', `/admin/users/${id}`, { nickname: 'Theirs meanwhile' })
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText('now Theirs meanwhile').waitFor()
      await admin('PUT', `/admin/users/${id}`, { nickname: 'Theirs once more' })
      await page.getByRole('button', { name: 'Save mine over it' }).click()
      await page.getByText('now Theirs once more').waitFor()
      assert.equal((await admin('GET', `/admin/users/${id}`)).nickname, 'Theirs once more')
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('writes once where a button is pressed twice', async () => {
      const { id } = await make({ nickname: 'Pressed twice', tokenLimits: { turbo: 1000 } })
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      await page.getByRole('button', { name: 'Add units for this period' }).click()
      const press = page.getByRole('dialog').getByRole('button', { name: 'Add units for this period' })
      const click = "document.querySelector('dialog [type=submit]').click()"
      await page.evaluate(`${click}, ${click}`)
      await press.waitFor({ state: 'detached' })
      await page.getByText('11,000 left').waitFor()
      const { families } = (await admin('GET', `/admin/users/${id}/quota`)) as {
        families: { family: string; extra: number }[]
      }
      assert.equal(families.find(({ family }) => family === 'turbo')?.extra, 10_000)
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('goes through a dialog by keyboard: the field has the focus, Escape gives it back', async () => {
      const { id } = await make({ nickname: 'Keyed' })
      const { page, faults, context } = await signedIn(`/console/users/${id}`)
      const opener = page.getByRole('button', { name: 'Disable', exact: true })
      const isBack = async () =>
        (await page.evaluate<string>('document.activeElement.textContent')) === 'Disable'
      await opener.focus()
      await page.keyboard.press('Enter')
      await page.keyboard.type('thought better of it')
      await page.keyboard.press('Escape')
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      assert.ok(await isBack(), 'after Escape')
      await page.keyboard.press('Enter')
      assert.equal(await page.getByLabel('Reason, shown to the holder').inputValue(), '')
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('dialog').waitFor({ state: 'detached' })
      assert.ok(await isBack(), 'after Cancel')
      await page.keyboard.press('Enter')
      await page.keyboard.type('Left the team')
      await page.keyboard.press('Enter')
      await page.getByText('Disabled: Left the team').waitFor()
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('begins where the scopes of the key allow, and says what another page needs', async () => {
      for (const [scope, title] of [
        ['users:read', 'Users'],
        ['usage:read', 'Overview'],
        ['keys:write', 'Keys and sessions'],
      ] as const) {
        const { key } = (await admin('POST', '/admin/keys', { name: scope, scopes: [scope] })) as {
          key: string
        }
        const { page, faults, context } = await openPage(browser, planes.origin)
        await page.goto('/console')
        await signIn(page, key)
        await page.getByRole('heading', { level: 1, name: title }).waitFor()
        await page.goto('/console/users/new')
        await page.getByText('This page needs the scope users:write').waitFor()
        assert.equal(await page.getByRole('alert').count(), 0, `${scope}: nothing was refused`)
        assert.deepEqual(faults(), [])
        await context.close()
      }
    })

    it('changes all that match only where that was chosen', async () => {
      const names = Array.from({ length: 60 }, (_, index) => `many ${index}`)
      await admin('PUT', '/admin/users', {
        users: names.map((nickname) => ({ token: `token of ${nickname}`, nickname })),
      })
      const { page, faults, context } = await signedIn('/console/users?q=many')
      const count = async (text: string) => {
        await page.getByRole('button', { name: 'Disable', exact: true }).click()
        await page.getByRole('button', { name: text }).waitFor()
        await page.keyboard.press('Escape')
      }
      await page.getByText('50 of 60').waitFor()
      await page.getByLabel('Select all that are shown').check()
      await page.getByText('50 selected').waitFor()
      await count('Disable: 50 users')
      await page.getByRole('button', { name: 'Select all 60 that match' }).click()
      await page.getByText('60 selected').waitFor()
      await count('Disable: 60 users')
      await page.getByLabel('Select many 59').uncheck()
      await page.getByText('49 selected').waitFor()
      assert.deepEqual(faults(), [])
      await context.close()
    })

    it('stays where a page cannot be loaded, or a session cannot be ended', async () => {
      const { page, context } = await signedIn()
      await page.route(/\/console\/assets\/settings-/, (route) => route.abort())
      await page.getByRole('link', { name: 'Settings' }).click()
      await page.getByText('This page could not be shown').waitFor()
      await page.getByRole('link', { name: 'Users' }).click()
      await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor()
      await page.route('**/admin/sessions/current', (route) =>
        route.request().method() === 'DELETE' ? route.abort() : route.continue(),
      )
      await page.getByRole('button', { name: 'Sign out' }).first().click()
      await page.getByText('See whether this was done before you try again').waitFor()
      await page.unroute('**/admin/sessions/current')
      await page.getByRole('button', { name: 'Sign out' }).first().click()
      await page.getByRole('heading', { name: 'Sign in to Tollgate' }).waitFor()
      await context.close()
    })

    it('shows text as text, on pages that axe has nothing against', {
      skip: kind !== anyDatabase && 'the pages do not depend on the database',
    }, async () => {
      const hostile = '<img src=x onerror="document.title=1">'
      const { id, token } = await make({
        nickname: hostile,
        tags: ['<b>tag</b>'],
        adminNote: '<script>1</script>',
      })
      await ask(token)
      const paths = [
        '/overview',
        '/users',
        '/users/new',
        `/users/${id}`,
        '/usage?group=user',
        '/requests',
        '/audit',
        '/keys',
        '/settings',
        '/nowhere',
      ]
      for (const colorScheme of ['light', 'dark'] as const)
        for (const width of [1280, 360]) {
          const { page, faults, context } = await openPage(browser, planes.origin, {
            colorScheme,
            viewport: { width, height: 800 },
          })
          await page.goto('/console')
          await page.getByLabel('Admin key').waitFor()
          assert.deepEqual(await accessibilityFaults(page), [], `sign-in ${colorScheme} ${width}`)
          await signIn(page)
          for (const path of paths) {
            await page.goto(`/console${path}`)
            await page.getByRole('heading', { level: 1 }).waitFor()
            await page
              .getByRole('status')
              .filter({ hasText: 'Loading…' })
              .first()
              .waitFor({ state: 'detached' })
            assert.deepEqual(await accessibilityFaults(page), [], `${path} ${colorScheme} ${width}`)
            assert.equal(await page.locator('img[src=x]').count(), 0)
            const overhang = await page.evaluate<number>(
              'document.documentElement.scrollWidth - document.documentElement.clientWidth',
            )
            assert.ok(overhang <= 0, `${path} is wider than its window of ${width}`)
          }
          await page.goto(`/console/users/${id}`)
          await page.getByRole('heading', { name: hostile }).waitFor()
          assert.deepEqual(faults(), [])
          await context.close()
        }
    })

    it('ends where the session was ended elsewhere, and never holds the tokens of a list', async () => {
      const { token } = await make({ nickname: 'In a list' })
      const { page, context } = await openPage(browser, planes.origin)
      const list = page.waitForResponse((response) => response.url().includes('/admin/users?'))
      await page.goto('/console/users?q=In+a+list')
      await signIn(page)
      await page.getByText('In a list').waitFor()
      const body = await (await list).text()
      assert.ok(body.includes('In a list') && !body.includes(token), 'the list came with masked tokens')
      const { sessions } = (await admin('GET', '/admin/sessions')) as { sessions: { id: string }[] }
      for (const { id } of sessions) await admin('DELETE', `/admin/sessions/${id}`)
      await page.getByLabel('Search users').fill('anything')
      await page.getByRole('heading', { name: 'Sign in to Tollgate' }).waitFor()
      await context.close()
    })
  })
}

async function signIn(page: Page, key = planesAdminKey): Promise<void> {
  await page.getByLabel('Admin key').fill(key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation').waitFor()
}
