/** Removes the password or key that a base address may carry, which must not be shown. */
export function withoutSecrets(baseUrl: string): string {
  const url = new URL(baseUrl)
  return `${url.origin}${url.pathname}`.replace(/\/$/, '')
}
