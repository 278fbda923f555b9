import { z } from '@hono/zod-openapi'
import { callerAddressFields } from '#admin/caller/address.ts'
import { settingOrigins } from '#core/shown-setting.ts'

const setting = z
  .object({
    name: z
      .string()
      .openapi({ description: 'The variable, or the key in the file such as `defaults.period`.' }),
    from: z.enum(settingOrigins).openapi({ description: 'Where the value in force came from.' }),
    value: z.unknown().optional().openapi({
      description: 'The value in force, without secrets; absent where it is not set, and for a secret.',
    }),
    isSet: z
      .boolean()
      .optional()
      .openapi({ description: 'Of a secret, which is not shown: whether it is set.' }),
    description: z.string(),
  })
  .openapi('Setting')

export const settingsSchema = z
  .object({
    version: z.string(),
    database: z.string().openapi({ description: 'The kind of database.' }),
    masterKey: z.string().openapi({
      description:
        'The version of the master key in use, with which every encrypted text begins. It reveals nothing of the key.',
    }),
    caller: z.object({
      ...callerAddressFields,
      isForwarded: z.boolean().openapi({
        description: 'Whether a trusted proxy stated the address, so that it is not that of the connection.',
      }),
    }),
    notes: z.array(z.string()).openapi({ description: 'What is set and has no effect.' }),
    settings: z.array(setting),
  })
  .openapi('Settings')
