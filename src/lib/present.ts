type Present<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> }

/** The members that are not undefined, so that what is not set is absent. */
export function present<T extends object>(members: T): Present<T> {
  const some: Present<T> = {}
  for (const name of Object.keys(members) as (keyof T)[]) {
    // Only what is undefined is left out.
    const value = members[name] as Exclude<T[keyof T], undefined>
    if (value !== undefined) some[name] = value
  }
  return some
}
