/** Where the value of a setting came from. */
export const settingOrigins = ['default', 'environment', 'file', 'command_line'] as const
export type SettingOrigin = (typeof settingOrigins)[number]

/** One setting of a running instance, as administrators see it. */
export interface ShownSetting {
  /** The variable of the environment, or the key in the file: `PORT`, `defaults.period`. */
  readonly name: string
  readonly from: SettingOrigin
  /** As JSON, without secrets; absent where the setting has no value, and where it is a secret. */
  readonly value?: unknown
  /** Of a secret: whether it is set. */
  readonly isSet?: boolean
  /** What it does, in plain text. */
  readonly what: string
}
