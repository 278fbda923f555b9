import { afterSpace, openList, openObject, quote } from '#lib/json-elements.ts'
import { recordOf } from './figures.ts'
import { withoutOperatorNames } from './operator-refusal.ts'
import { errorBytesMax } from './whole-answer.ts'

/** An error's text without what it says of the operator; the same string if it says nothing. */
export type Hide = (text: string) => string

/** Shorter words stand in any text, where replacing them would mangle it. */
const lengthMin = 8

/**
 * Some upstreams repeat the credential in an error, in a form that no pattern knows.
 *
 * @param secrets what the operator has configured for one upstream; those of fewer than 8 characters stay
 */
export function createHide(secrets: readonly string[]): Hide {
  const long = secrets.filter(({ length }) => length >= lengthMin)
  // A longer one first, since it may hold a shorter one.
  const forms = [...new Set(long.flatMap(formsOf))].sort((one, other) => other.length - one.length)
  return (text) => {
    let shown = text
    for (const form of forms) shown = shown.replaceAll(form, '(hidden)')
    return withoutOperatorNames(shown)
  }
}

/** A secret as texts hold it: plain, within JSON in the spellings of several libraries, and within a URL. */
function formsOf(secret: string): readonly string[] {
  const json = JSON.stringify(secret).slice(1, -1)
  const careful = json.replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`)
  return [secret, json, careful, json.replaceAll('/', '\\/'), encodeURIComponent(secret)]
}

/**
 * Hides the same in the errors that stand in a whole answer beside its usage or its text; the rest of the answer stays as
 * it is. Undefined if nothing has to be hidden.
 */
export function withErrorsHidden(body: Buffer, hide: Hide): Buffer | undefined {
  if (body.length > errorBytesMax || !mayHoldError(body)) return undefined
  try {
    const answer: unknown = JSON.parse(body.toString())
    return hideInErrors(Array.isArray(answer) ? answer[0] : answer, hide)
      ? Buffer.from(JSON.stringify(answer))
      : undefined
  } catch {
    return undefined
  }
}

/** Whether the bytes hold such a member with a value. Most answers do not, and are not parsed. */
function mayHoldError(body: Buffer): boolean {
  return errorMembers.some((name) => {
    const word = `"${name}"`
    for (let at = body.indexOf(word); at >= 0; at = body.indexOf(word, at + 1))
      if (isValueAt(body, at + word.length)) return true
    return false
  })
}

const errorMembers = ['error', 'detail'] as const
const colon = 0x3a

/** Whether a text, an object or a list follows the name that ends here; not null. */
function isValueAt(body: Buffer, from: number): boolean {
  let at = afterSpace(body, from)
  if (body[at] !== colon) return false
  at = afterSpace(body, at + 1)
  return body[at] === quote || body[at] === openObject || body[at] === openList
}

/** Changes the errors in the places where answers have them, and returns whether one was changed. */
function hideInErrors(answer: unknown, hide: Hide): boolean {
  const root = recordOf(answer)
  if (!root) return false
  const choices = Array.isArray(root.choices) ? root.choices : []
  let isChanged = false
  for (const holder of [root, ...choices].map(recordOf)) {
    for (const name of errorMembers) {
      const text = holder && JSON.stringify(holder[name])
      const shown = text && hide(text)
      if (!holder || !shown || shown === text) continue
      Object.assign(holder, { [name]: parsedOr(shown) })
      isChanged = true
    }
  }
  return isChanged
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return '(hidden)'
  }
}
