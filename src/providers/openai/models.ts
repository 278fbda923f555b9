import { figureOf } from '#providers/figures.ts'
import { modelFacts } from '#providers/model-facts.ts'
import type { ListedModel } from '#providers/provider.ts'

export function renderModelList(models: readonly ListedModel[]): string {
  return JSON.stringify({ object: 'list', data: models.map(modelOf) })
}

export function renderModel(model: ListedModel): string {
  return JSON.stringify(modelOf(model))
}

function modelOf({ id, source }: ListedModel) {
  const owner = source?.owned_by
  return {
    ...modelFacts(source),
    id,
    object: 'model',
    created: figureOf(source, 'created') ?? 0,
    owned_by: typeof owner === 'string' ? owner : 'system',
  }
}
