import { callerAddressOf } from '#admin/caller/address.ts'
import { noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import type { ShownSetting } from '#core/shown-setting.ts'
import { settingsSchema } from './schemas.ts'

/** GET /admin/settings: the configuration in force, without its secrets. */
export const readSettings: Operation = {
  need: 'settings:read',
  tag: 'Settings',
  summary: 'Read the configuration in force',
  description:
    'Each setting of the instance that answers, with its value and where that came from: the environment, the file, the ' +
    'command line, or the default. Secrets are not shown, only whether they are set.',
  request: { query: noParameters },
  answer: { description: 'The settings', schema: settingsSchema },
  refusals: ['bad_request'],
  async handle(c, { facts, store, clientAddress }) {
    const { version, notes, settings } = facts
    const caller = callerAddressOf(c, clientAddress)
    return answered({
      ...{ version, database: store.about.database },
      masterKey: store.about.masterKey.replace(/:$/, ''),
      caller: { ...caller, isForwarded: caller.address !== caller.peer },
      notes: [...notes],
      settings: settings.map(toAnswer),
    })
  },
}

function toAnswer({ name, from, value, isSet, what }: ShownSetting) {
  return {
    ...{ name, from },
    ...(value !== undefined && { value }),
    ...(isSet !== undefined && { isSet }),
    description: what,
  }
}
