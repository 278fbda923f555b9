/**
 * Processes many items at once. Where one of them makes that fail, they are split in halves, in the same order, until
 * the bad item is alone and is set aside; all others are processed.
 *
 * @param isFault whether an error is about the items, so that fewer of them may pass; any other is thrown
 */
export async function doApart<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  isFault: (error: unknown) => boolean,
  setAside: (item: T, error: unknown) => Promise<void> | void,
): Promise<void> {
  try {
    await work(items)
    return
  } catch (error) {
    const [one] = items
    if (one === undefined || !isFault(error)) throw error
    if (items.length === 1) return setAside(one, error)
  }
  const half = items.length >> 1
  await doApart(items.slice(0, half), work, isFault, setAside)
  await doApart(items.slice(half), work, isFault, setAside)
}
