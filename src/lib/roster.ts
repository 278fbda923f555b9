/**
 * The members that are present now, where many come and go: adding and removing take constant time and leave no
 * garbage. A Set would do, but when V8 renews a Set's table the old one keeps pointing to the new one. Under thousands
 * of changes a second those chains reach the old generation and keep the garbage of all requests alive until the next
 * full collection (measured: half of what a request allocates).
 */
export interface Roster<T> {
  /** Adds a member; calling the returned function removes it, and repeating that is harmless. */
  readonly add: (member: T) => () => void
  readonly count: () => number
  /** A copy, so that members may be removed during iteration. */
  readonly list: () => readonly T[]
}

interface Seat<T> {
  readonly member: T
  /** -1 once it is empty. */
  index: number
}

export function createRoster<T>(): Roster<T> {
  const seats: Seat<T>[] = []

  function leave(seat: Seat<T>): void {
    if (seat.index < 0) return
    // The last one takes the empty place.
    const last = seats.pop()
    if (last && last !== seat) {
      last.index = seat.index
      seats[seat.index] = last
    }
    seat.index = -1
  }

  return {
    add(member) {
      const seat = { member, index: seats.length }
      seats.push(seat)
      return () => leave(seat)
    },
    count: () => seats.length,
    list: () => seats.map((seat) => seat.member),
  }
}
