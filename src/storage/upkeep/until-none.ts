/** Does something piece by piece, so that it keeps nobody waiting, until nothing is left; answers how much it was. */
export async function untilNone(some: () => Promise<number>): Promise<number> {
  let count = 0
  for (;;) {
    const done = await some()
    if (done === 0) return count
    count += done
  }
}
