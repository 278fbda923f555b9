import { recordOf } from '#providers/figures.ts'
import type { ListedModel } from '#providers/provider.ts'

/** `{"models": [{"name": "models/m", "displayName": "M"}]}`. */
const prefix = 'models/'

export function readModelList(answer: unknown): readonly ListedModel[] | undefined {
  const models = recordOf(answer)?.models
  if (!Array.isArray(models)) return undefined
  return models.flatMap((element) => {
    const source = recordOf(element)
    return typeof source?.name === 'string' ? [{ id: source.name.replace(prefix, ''), source }] : []
  })
}

export function renderModelList(models: readonly ListedModel[]): string {
  return JSON.stringify({ models: models.map(modelOf) })
}

export function renderModel(model: ListedModel): string {
  return JSON.stringify(modelOf(model))
}

function modelOf({ id, source }: ListedModel) {
  const displayName = typeof source?.displayName === 'string' ? source.displayName : id
  return { name: prefix + id, displayName }
}
