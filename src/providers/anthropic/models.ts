import { figureOf, type JsonRecord } from '#providers/figures.ts'
import { modelFacts } from '#providers/model-facts.ts'
import type { ListedModel } from '#providers/provider.ts'

/** All models on one page: an installation does not serve enough of them to need more. */
export function renderModelList(models: readonly ListedModel[]): string {
  return JSON.stringify({
    data: models.map(modelOf),
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  })
}

export function renderModel(model: ListedModel): string {
  return JSON.stringify(modelOf(model))
}

function modelOf({ id, source }: ListedModel) {
  return {
    ...modelFacts(source),
    type: 'model',
    id,
    display_name: textOf(source, 'display_name') ?? id,
    created_at:
      textOf(source, 'created_at') ?? new Date((figureOf(source, 'created') ?? 0) * 1000).toISOString(),
  }
}

function textOf(source: JsonRecord | undefined, key: string): string | undefined {
  const value = source?.[key]
  return typeof value === 'string' ? value : undefined
}
