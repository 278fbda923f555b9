import { recordOf } from './figures.ts'
import type { ListedModel } from './provider.ts'

/** The models of a list such as `{"data": [{"id": "m"}]}`; undefined if the answer is not one. Other elements are left out. */
export function readDataList(answer: unknown): readonly ListedModel[] | undefined {
  const data = recordOf(answer)?.data
  if (!Array.isArray(data)) return undefined
  return data.flatMap((element) => {
    const source = recordOf(element)
    return typeof source?.id === 'string' ? [{ id: source.id, source }] : []
  })
}
