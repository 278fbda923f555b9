/**
 * Headers of an upstream's answer that speak of the operator's account, or of the way there, whichever protocol
 * it is: they stay here. `x-request-id` is ours on every answer; `retry-after` is for the client, and goes on.
 */
const names: ReadonlySet<string> = new Set([
  'set-cookie',
  'set-cookie2',
  'x-request-id',
  'alt-svc',
  'nel',
  'report-to',
  'strict-transport-security',
  'server',
  'via',
  'server-timing',
])

const prefixes = ['x-ratelimit-', 'cf-', 'x-envoy-', 'x-amzn-', 'x-azure-', 'apim-']

export function isPrivateAnywhere(lowerCaseName: string): boolean {
  return names.has(lowerCaseName) || prefixes.some((prefix) => lowerCaseName.startsWith(prefix))
}
