import { de } from './de.ts'
import { en, type Words } from './en.ts'

const languages: Readonly<Record<string, Words>> = { en, de }
const kept = 'tollgate-language'

export const languageNames = Object.entries(languages).map(([code, words]) => ({
  code,
  name: words.language,
}))

/** What was chosen on the settings page, else the first language of the browser that there are words for. */
export const language =
  [localStorage.getItem(kept), ...navigator.languages.map((tag) => tag.slice(0, 2))].find(
    (code) => code !== null && Object.hasOwn(languages, code),
  ) ?? 'en'

/** For numbers and times: the browser's own kind of the language, such as en-GB. */
export const locale = navigator.languages.find((tag) => tag.slice(0, 2) === language) ?? language

export const t: Words = languages[language] ?? en

document.documentElement.lang = language

/** The page is loaded anew: words are read when a part is drawn, and nothing watches them. */
export function chooseLanguage(code: string): void {
  localStorage.setItem(kept, code)
  location.reload()
}
