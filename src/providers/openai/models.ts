import { figureOf } from '#providers/figures.ts'
import { modelFacts, ownerOf } from '#providers/model-facts.ts'
import type { ListedModel } from '#providers/provider.ts'

export function renderModelList(models: readonly ListedModel[]): string {
  return JSON.stringify({ object: 'list', data: models.map(modelOf) })
}

export function renderModel(model: ListedModel): string {
  return JSON.stringify(modelOf(model))
}

function modelOf({ id, source }: ListedModel) {
  return {
    ...modelFacts(source),
    id,
    object: 'model',
    created: figureOf(source, 'created') ?? 0,
    owned_by: ownerOf(source),
  }
}
