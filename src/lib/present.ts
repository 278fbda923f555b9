type Present<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> }

/** The members that are not undefined, so that what is not set is absent. */
export function present<T extends object>(members: T): Present<T> {
  // Only what is undefined was taken out.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Present<T>
}
