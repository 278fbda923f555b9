import type { Account } from './account.ts'
import { ask } from './client.ts'
import { exact, groups, nameOf } from './load.ts'
import type { Product } from './product.ts'

/** Users whose account differs from the answers of their clients, with both figures. */
export async function differences(product: Product, account: Account): Promise<readonly string[]> {
  const found: string[] = []
  for (const group of exact)
    for (let index = 0; index < groups[group]; index++) {
      const accessToken = nameOf(group, index)
      const used = await usedBy(product, accessToken)
      const told = account.told.get(accessToken) ?? 0
      if (used !== told) found.push(`${accessToken}: told ${told}, counted ${used}`)
    }
  return found
}

async function usedBy({ url, adminKey }: Product, accessToken: string): Promise<number> {
  const { status, text } = await ask(url, { path: `/admin/users/${accessToken}`, key: adminKey })
  if (status !== 200) throw new Error(`the user ${accessToken} cannot be read: ${status} ${text}`)
  const { tokenCounts = {} }: { readonly tokenCounts?: Record<string, number> } = JSON.parse(text)
  return Object.values(tokenCounts).reduce((sum, units) => sum + units, 0)
}

/** Lines of the log of level error, and how often each warning stands in it. */
export function logFaults(output: string): {
  readonly errors: readonly string[]
  readonly warnings: ReadonlyMap<string, number>
} {
  const errors: string[] = []
  const warnings = new Map<string, number>()
  for (const line of output.split('\n')) {
    if (!line.startsWith('{"level":')) continue
    const { level, msg } = JSON.parse(line)
    if (level === 'error' || level === 'fatal' || level >= 50) errors.push(line)
    else if (level === 'warn' || level === 40) warnings.set(msg, (warnings.get(msg) ?? 0) + 1)
  }
  return { errors, warnings }
}
