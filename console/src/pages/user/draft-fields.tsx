import type { Refusal, User } from '#api/client.ts'
import { SelectField, TextArea, TextField } from '#parts/field.tsx'
import { t } from '#words/words.ts'
import type { Draft } from './draft.ts'

interface Props {
  draft: Draft
  onDraft: (draft: Draft) => void
  refusal?: Refusal | undefined
  /** The values that another administrator set meanwhile. */
  theirs?: Draft | undefined
  families: readonly string[]
}

type TextName = Exclude<keyof Draft, 'limits' | 'type'>

/** The server's message about a field, or about a part of it. */
function faultOf(refusal: Refusal | undefined, name: string): string | undefined {
  return [...(refusal?.issues ?? [])].find(
    ([path]) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`),
  )?.[1]
}

export function NameAndType({ draft, onDraft, refusal, theirs }: Omit<Props, 'families'>) {
  return (
    <>
      <TextField
        label={t.user.nickname}
        value={draft.nickname}
        maxLength={80}
        fault={faultOf(refusal, 'nickname')}
        beside={besideOf(draft.nickname, theirs?.nickname)}
        onChange={(event) => onDraft({ ...draft, nickname: event.target.value })}
      />
      <SelectField
        label={t.user.type}
        value={draft.type}
        help={t.create.typeHelp[draft.type]}
        fault={faultOf(refusal, 'type')}
        beside={besideOf(draft.type, theirs?.type)}
        onChange={(event) => onDraft({ ...draft, type: event.target.value as User['type'] })}
      >
        {Object.entries(t.users.types).map(([type, words]) => (
          <option key={type} value={type}>
            {words}
          </option>
        ))}
      </SelectField>
      {(draft.type === 'temporary' || draft.expiresAt !== '') && (
        <TextField
          label={t.user.expires}
          help={t.user.expiresHelp}
          type="datetime-local"
          value={draft.expiresAt}
          fault={faultOf(refusal, 'expiresAt')}
          beside={besideOf(draft.expiresAt, theirs?.expiresAt)}
          onChange={(event) => onDraft({ ...draft, expiresAt: event.target.value })}
        />
      )}
    </>
  )
}

export function LimitsAndMore({ draft, onDraft, refusal, theirs, families }: Props) {
  const text = (name: TextName, more: object = {}) => ({
    value: draft[name],
    fault: faultOf(refusal, name),
    beside: besideOf(draft[name], theirs?.[name]),
    onChange: (event: { target: { value: string } }) => onDraft({ ...draft, [name]: event.target.value }),
    ...more,
  })
  const figure = { inputMode: 'numeric' as const, type: 'number', min: -1, step: 1 }
  return (
    <>
      {families.map((family) => (
        <TextField
          key={family}
          {...figure}
          label={t.user.limit(family)}
          help={t.user.limitHelp}
          value={draft.limits[family] ?? ''}
          fault={faultOf(refusal, `tokenLimits.${family}`)}
          beside={besideOf(draft.limits[family] ?? '', theirs && (theirs.limits[family] ?? ''))}
          onChange={(event) =>
            onDraft({ ...draft, limits: { ...draft.limits, [family]: event.target.value } })
          }
        />
      ))}
      <TextField label={t.user.rpm} {...figure} {...text('requestsPerMinute')} />
      <TextField label={t.user.concurrent} {...figure} {...text('concurrentRequests')} />
      <TextField label={t.user.maxIps} help={t.user.limitsHelp} {...figure} {...text('maxIps')} />
      <TextField label={t.user.models} help={t.user.modelsHelp} {...text('allowedModels')} />
      <TextField label={t.user.tags} help={t.user.tagsHelp} {...text('tags')} />
      <TextArea label={t.user.note} {...text('adminNote')} />
    </>
  )
}

function besideOf(mine: string, theirs: string | undefined): string | undefined {
  return theirs === undefined || theirs === mine ? undefined : t.user.theirs(theirs === '' ? '–' : theirs)
}
