import { isText, meanings } from './names.ts'
import type { StreamWords } from './words.ts'

const { unknown, choices, holder, grows, label, details, detail, innerMedia, text, media } = meanings

/** Where usage may stand. */
export interface UsagePlaces {
  readonly isAtTop: boolean
  readonly isInChoices: boolean
}

export function usagePlacesOf({ usageIn }: StreamWords): UsagePlaces {
  return { isAtTop: usageIn.includes(''), isInChoices: usageIn.includes('choices') }
}

/** A place in an event's JSON: how deep it is, and which of the enclosing objects matter. */
export class Place {
  /** How many brackets are open. */
  depth = 0
  /** The meaning of the last name at the top level. */
  topMeaning: number = unknown
  /** What a name without a meaning means here: text within an object that holds what the model wrote. */
  within: number = unknown
  /** The depth of that object, and of the details or the label within it; -1 outside of one. */
  #growsAt = -1
  #innerAt = -1

  moveTo(other: Place): void {
    this.depth = other.depth
    this.topMeaning = other.topMeaning
    this.within = other.within
    this.#growsAt = other.#growsAt
    this.#innerAt = other.#innerAt
  }

  isOfUsage({ isAtTop, isInChoices }: UsagePlaces): boolean {
    if (this.depth === 1) return isAtTop
    return (
      (this.depth === 2 && this.topMeaning === holder) ||
      (this.depth === 3 && this.topMeaning === choices && isInChoices)
    )
  }

  /** Whether an error here is the answer's: at the top level, in the member that holds usage, or in a choice. */
  isOfError(): boolean {
    return (
      this.depth === 1 ||
      (this.depth === 2 && this.topMeaning === holder) ||
      (this.depth === 3 && this.topMeaning === choices)
    )
  }

  /** The meaning of a name within an object of text. */
  innerMeaning(name: number): number {
    if (name === unknown) return this.within
    if (this.within === text) return name === innerMedia ? media : name
    return name === innerMedia || isText(name) ? this.within : name
  }

  /** Enters an object that is the value of a member of this meaning. */
  openGrowing(meaning: number): void {
    if (this.within !== unknown || !(meaning === grows || (meaning === text && this.depth === 1))) return
    this.#growsAt = this.depth
    this.within = text
  }

  /** Within an object of text: enters an object or a list that is the value of a member of this meaning. */
  openInner(meaning: number): void {
    if (this.within !== text || (meaning !== label && meaning !== details)) return
    this.#innerAt = this.depth
    this.within = meaning === label ? label : detail
  }

  /** Leaves an object or a list. */
  close(): void {
    this.depth -= 1
    if (this.within === unknown) return
    if (this.depth === this.#innerAt) {
      this.#innerAt = -1
      this.within = text
    } else if (this.depth === this.#growsAt) {
      this.#growsAt = -1
      this.within = unknown
    }
  }
}
