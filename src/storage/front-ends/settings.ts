import type { FrontEndSettings } from '#core/front-end.ts'
import type { FrontEndRow } from '#storage/schema/front-end-tables.ts'

/** Settings that this program wrote. A row that cannot be read fails, and the request with it. */
export function parseSettings({ settings }: Pick<FrontEndRow, 'settings'>): FrontEndSettings {
  return JSON.parse(settings) as FrontEndSettings
}
