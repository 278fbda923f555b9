import { type Convert, numberOf, type SourceParts, textOf } from './source.ts'

/**
 * Users of oai-reverse-proxy, by its `users.json` or the answer of its admin API, of any version. There, 0 is no limit;
 * counts are numbers, or in later versions `{input, output, legacy_total}`; a refresh raises limits, for which there is a
 * period here. Its families by model become ours.
 */
export const fromOaiReverseProxy: Convert = (record, parts) => {
  const { tokenLimits, tokenCounts, tokenCount: _, tokenRefresh: __, maxIps, ...rest } = record
  const most = numberOf(maxIps)
  return {
    kind: 'user',
    user: {
      ...rest,
      tokenLimits: limitsOf(tokenLimits, parts),
      tokenCounts: sumsOf(tokenCounts, parts),
      ...(most !== undefined && { maxIps: most === 0 ? -1 : most }),
    },
  }
}

/** Limits that were set are added up; a family without one stays unlimited. */
function limitsOf(map: unknown, parts: SourceParts): Readonly<Record<string, number>> {
  const sums = Object.entries(sumsOf(map, parts))
  return Object.fromEntries(sums.map(([family, limit]) => [family, limit === 0 ? -1 : limit]))
}

function sumsOf(map: unknown, { familyNames }: SourceParts): Readonly<Record<string, number>> {
  if (typeof map !== 'object' || map === null) return {}
  const sums = new Map<string, number>()
  for (const [theirs, count] of Object.entries(map)) {
    const family = familyOf(theirs, familyNames)
    if (family !== undefined) sums.set(family, (sums.get(family) ?? 0) + totalOf(count))
  }
  return Object.fromEntries(sums)
}

function totalOf(count: unknown): number {
  if (typeof count !== 'object' || count === null) return Math.max(0, Math.round(numberOf(count) ?? 0))
  const { input, output, legacy_total: before }: Readonly<Record<string, unknown>> = { ...count }
  return totalOf(numberOf(input)) + totalOf(numberOf(output)) + totalOf(numberOf(before))
}

/** Undefined where no family here takes it; its counts are then left out. */
function familyOf(theirs: string, familyNames: readonly string[]): string | undefined {
  const name = theirs.replace(/^(?:azure|aws|gcp)-/, '')
  const ours = familyNames.includes(name) ? name : kindOf(name)
  return [ours, 'other'].find((family) => familyNames.includes(family))
}

function kindOf(name: string): string {
  if (name.startsWith('claude')) return 'claude'
  return /^(?:gpt|o\d|chatgpt)/.test(textOf(name) ?? '') ? 'gpt4' : 'other'
}
