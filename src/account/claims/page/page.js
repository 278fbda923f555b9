/** The code stands after the "#", which the browser sends to no server; it goes in the body of requests from here. */
const code = location.hash.slice(1)

const at = (id) => document.getElementById(id)
const sections = ['looking', 'ready', 'shown', 'refused'].map(at)
/** Set while the access token is on the page and was copied nowhere. */
let isUnkept = false

/** Shows one section alone, and moves there what reads the page aloud. */
function show(id) {
  for (const section of sections) section.hidden = section.id !== id
  at('said').textContent = ''
  at(id).querySelector('h1').focus()
}

function nameHolder({ nickname }) {
  for (const place of document.querySelectorAll('.nickname')) place.textContent = nickname ?? ''
  for (const place of document.querySelectorAll('.for')) place.hidden = nickname === undefined
}

const timeOf = (ms) => new Date(ms).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'short' })

function lengthOf(ms) {
  const minutes = Math.round(ms / 60_000)
  const [count, unit] =
    minutes % 1440 === 0
      ? [minutes / 1440, 'day']
      : minutes % 60 === 0
        ? [minutes / 60, 'hour']
        : [minutes, 'minute']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** @param mayAskAgain whether the same request may succeed later */
function refuse(message, mayAskAgain) {
  at('why').textContent = message
  at('again').hidden = !mayAskAgain
  show('refused')
}

/** The answer; undefined where the page says what went wrong. */
async function ask(name) {
  try {
    const response = await fetch(`claim/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
      credentials: 'omit',
      cache: 'no-store',
    })
    const answer = await response.json()
    if (response.ok) return answer
    refuse(answer.error, response.status === 429 || response.status >= 500)
  } catch {
    refuse('The server cannot be reached, or its answer did not arrive.', true)
  }
  return undefined
}

async function look() {
  if (code === '') {
    refuse(
      'The link is not whole: its end, from the "#" on, is missing. Copy all of it, and open it again.',
      false,
    )
    return
  }
  const claim = await ask('look')
  if (!claim) return
  nameHolder(claim)
  at('until').textContent = timeOf(claim.expiresAt)
  at('until').dateTime = new Date(claim.expiresAt).toISOString()
  at('rotates').hidden = !claim.rotates
  at('rotates').textContent = `A new access token is made for you. One that you have already ${
    claim.graceMs > 0 ? `works for another ${lengthOf(claim.graceMs)}` : 'stops working at once'
  }.`
  show('ready')
}

async function take() {
  at('show').disabled = true
  const taken = await ask('take')
  at('show').disabled = false
  if (!taken) return
  nameHolder(taken)
  at('secret').textContent = taken.accessToken
  at('previous').hidden = taken.previousUntil === undefined
  at('previous').textContent = `The one before works until ${timeOf(taken.previousUntil ?? 0)}.`
  // Beside this page, so that a path in front of it is kept.
  const base = new URL('.', location.href).href.replace(/\/$/, '')
  at('openai').textContent = `${base}/v1`
  at('anthropic').textContent = base
  isUnkept = true
  show('shown')
}

/** Without TLS a page has no clipboard: then the text is selected, for the holder to copy. */
async function copy(button) {
  const id = button.dataset.copies
  try {
    await navigator.clipboard.writeText(at(id).textContent)
    at('said').textContent = 'Copied.'
    button.textContent = 'Copied'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, 2000)
  } catch {
    getSelection()?.selectAllChildren(at(id))
    at('said').textContent = 'Selected: copy it with your keyboard or the menu.'
  }
  if (id === 'secret') isUnkept = false
}

at('show').addEventListener('click', () => void take())
at('again').addEventListener('click', () => void look())
for (const button of document.querySelectorAll('[data-copies]'))
  button.addEventListener('click', () => void copy(button))
addEventListener('copy', () => {
  isUnkept = false
})
addEventListener('beforeunload', (event) => {
  if (isUnkept) event.preventDefault()
})
addEventListener('hashchange', () => location.reload())

void look()
