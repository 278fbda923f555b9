/** A user of a file as a body describes one, by the contract's name for the access token. */
export function namedBy(accessToken: string, members: object): Readonly<Record<string, unknown>> {
  return { token: accessToken, ...members }
}

/** What another system's record says of the key, by the same name. */
export function storedKeyOf(record: Readonly<Record<string, unknown>>): unknown {
  return record.token
}
