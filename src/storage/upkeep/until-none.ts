/** Repeats a piece of work until nothing is left, so that other work gets its turn in between; answers the total. */
export async function untilNone(some: () => Promise<number>): Promise<number> {
  let count = 0
  for (;;) {
    const done = await some()
    if (done === 0) return count
    count += done
  }
}
