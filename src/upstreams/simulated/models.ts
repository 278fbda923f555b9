/** The models that the simulated upstream lists; it answers for any other name too. */
export const simulatedModels: readonly string[] = [
  'gpt-4o',
  'gpt-4o-mini',
  'gpt-4.1-nano',
  'o4-mini',
  'text-embedding-3-small',
  'claude-sonnet-5',
  'claude-haiku-4-5',
]

const madeAt = Date.UTC(2025, 0, 1)

export function renderModels(isAnthropic: boolean): string {
  const data = simulatedModels.map((id) => modelOf(id, isAnthropic))
  if (!isAnthropic) return JSON.stringify({ object: 'list', data })
  const [first_id, last_id] = [simulatedModels[0], simulatedModels.at(-1)]
  return JSON.stringify({ data, has_more: false, first_id, last_id })
}

export function renderModel(id: string, isAnthropic: boolean): string | undefined {
  return simulatedModels.includes(id) ? JSON.stringify(modelOf(id, isAnthropic)) : undefined
}

function modelOf(id: string, isAnthropic: boolean) {
  return isAnthropic
    ? { type: 'model', id, display_name: id, created_at: new Date(madeAt).toISOString() }
    : { id, object: 'model', created: madeAt / 1000, owned_by: 'simulated' }
}
