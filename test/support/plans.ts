/** One statement as PostgreSQL ran it, from what `auto_explain` wrote to the server's log. */
export interface Plan {
  readonly statement: string
  /** Rows that were read, used or not. */
  readonly rowsRead: number
  /** Pages that were read, of tables and indexes. */
  readonly pages: number
  /** The steps of the plan with the rows each one read, to diagnose a failure. */
  readonly steps: readonly string[]
}

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows'?: number
  readonly 'Actual Loops'?: number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly 'Shared Hit Blocks'?: number
  readonly 'Shared Read Blocks'?: number
  readonly Plans?: readonly PlanNode[]
}

/** Options with which each statement of a new connection writes its plan to the log. */
export const explaining: Readonly<Record<string, string>> = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_buffers': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
}

export function readPlans(log: string): readonly Plan[] {
  return [...log.matchAll(/ {2}plan:\n((?:\t.*\n)+)/g)].map((match) => {
    const { 'Query Text': statement, Plan: plan }: { 'Query Text': string; Plan: PlanNode } = JSON.parse(
      (match[1] ?? '').replaceAll(/^\t/gm, '').replaceAll('\n', ' ').replaceAll('\t', ' '),
    )
    const nodes = [...nodesOf(plan, 0)]
    return {
      statement: statement.replaceAll(/\s+/g, ' '),
      rowsRead: nodes.reduce((sum, { node }) => sum + rowsReadBy(node), 0),
      pages: (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0),
      steps: nodes.map(({ node, depth }) => stepOf(node, depth)),
    }
  })
}

function* nodesOf(
  node: PlanNode,
  depth: number,
): Iterable<{ readonly node: PlanNode; readonly depth: number }> {
  yield { node, depth }
  for (const below of node.Plans ?? []) yield* nodesOf(below, depth + 1)
}

/** Rows of a step that reads a table or an index; rows that other steps pass on are not counted again. */
function rowsReadBy(node: PlanNode): number {
  if (node['Relation Name'] === undefined && node['Index Name'] === undefined) return 0
  if (node['Node Type'] === 'ModifyTable') return 0
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)
  return ((node['Actual Rows'] ?? 0) + removed) * (node['Actual Loops'] ?? 1)
}

function stepOf(node: PlanNode, depth: number): string {
  const where = node['Index Name'] ?? node['Relation Name'] ?? ''
  const pages = (node['Shared Hit Blocks'] ?? 0) + (node['Shared Read Blocks'] ?? 0)
  return `${'  '.repeat(depth)}${node['Node Type']} ${where}: ${rowsReadBy(node)} rows, ${pages} pages`
}
