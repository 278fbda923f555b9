import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answered, api, type Setting } from '#api/client.ts'
import { useMay } from '#api/session.ts'
import { SelectField, TextField } from '#parts/field.tsx'
import { areKeysOn, switchKeys } from '#parts/keys.ts'
import { Notice, Page, Pending, Section } from '#parts/page.tsx'
import { applyScheme, type Scheme, schemeNow } from '#parts/scheme.ts'
import { type Column, Table } from '#parts/table.tsx'
import { Chip } from '#parts/user-state.tsx'
import { chooseLanguage, language, languageNames, t } from '#words/words.ts'

export function Settings() {
  const may = useMay()
  return (
    <Page title={t.settings.title} lead={t.settings.lead}>
      <Look />
      {may('settings:read') && <Effective />}
    </Page>
  )
}

function Look() {
  const [scheme, setScheme] = useState(schemeNow())
  const [isOn, setOn] = useState(areKeysOn())
  return (
    <Section title={t.settings.look}>
      <div className="grid max-w-[560px] gap-4 md:grid-cols-2">
        <SelectField
          label={t.settings.scheme}
          value={scheme}
          onChange={(event) => {
            const next = event.target.value as Scheme
            setScheme(next)
            applyScheme(next)
          }}
        >
          {Object.entries(t.settings.schemes).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </SelectField>
        <SelectField
          label={t.settings.language}
          value={language}
          onChange={(event) => chooseLanguage(event.target.value)}
        >
          {languageNames.map(({ code, name }) => (
            <option key={code} value={code}>
              {name}
            </option>
          ))}
        </SelectField>
        <label className="flex items-center gap-2 text-13 md:col-span-2">
          <input
            type="checkbox"
            checked={isOn}
            onChange={() => {
              switchKeys(!isOn)
              setOn(!isOn)
            }}
          />
          {t.settings.shortcuts}
        </label>
      </div>
    </Section>
  )
}

function Effective() {
  const settings = useQuery({
    queryKey: ['settings'],
    queryFn: () => answered(api.GET('/admin/settings')),
    staleTime: 60_000,
  })
  const [text, setText] = useState('')
  const [isChangedOnly, setChangedOnly] = useState(false)
  if (settings.data === undefined) return <Pending query={settings} />
  const { version, database, masterKey, caller, notes, settings: all } = settings.data
  const wanted = text.trim().toLowerCase()
  const rows = all.filter(
    (row) =>
      (!isChangedOnly || row.from !== 'default') &&
      `${row.name} ${row.description}`.toLowerCase().includes(wanted),
  )
  const columns: readonly Column<Setting>[] = [
    {
      key: 'name',
      head: t.settings.name,
      cell: (row) => (
        <div className="flex max-w-[480px] flex-col">
          <code className="font-mono text-13 [overflow-wrap:anywhere]">{row.name}</code>
          <span className="text-12 text-soft">
            <Prose text={row.description} />
          </span>
        </div>
      ),
    },
    {
      key: 'value',
      head: t.settings.value,
      cell: (row) => <code className="font-mono text-13 [overflow-wrap:anywhere]">{shownValue(row)}</code>,
    },
    {
      key: 'from',
      head: t.settings.from,
      isExtra: true,
      cell: (row) => (
        <Chip tone={row.from === 'default' ? 'plain' : 'good'}>{t.settings.froms[row.from]}</Chip>
      ),
    },
  ]
  return (
    <Section title={t.settings.title}>
      {notes.map((note) => (
        <div key={note} className="mb-3">
          <Notice>{note}</Notice>
        </div>
      ))}
      <dl className="m-0 mb-4 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-13">
        <dt className="text-soft">{t.settings.version}</dt>
        <dd className="m-0">{version}</dd>
        <dt className="text-soft">{t.settings.database}</dt>
        <dd className="m-0">{database}</dd>
        <dt className="text-soft">{t.settings.masterKey}</dt>
        <dd className="m-0">{masterKey}</dd>
        <dt className="text-soft">{t.settings.address}</dt>
        <dd className="m-0 font-mono">{caller.address}</dd>
      </dl>
      <div className="mb-3 flex max-w-[560px] flex-wrap items-end gap-4">
        <div className="min-w-60 flex-1">
          <TextField
            label={t.settings.find}
            type="search"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
        <label className="flex min-h-8 items-center gap-2 text-13">
          <input type="checkbox" checked={isChangedOnly} onChange={() => setChangedOnly(!isChangedOnly)} />
          {t.settings.changedOnly}
        </label>
      </div>
      <Table label={t.settings.title} columns={columns} rows={rows} keyOf={(row) => row.name} />
    </Section>
  )
}

/** The server marks names in its descriptions by backticks. */
const Prose = ({ text }: { text: string }) =>
  text.split('`').map((part, index) =>
    index % 2 === 1 ? (
      <code key={index} className="font-mono">
        {part}
      </code>
    ) : (
      part
    ),
  )

function shownValue({ value, isSet }: Setting): string {
  if (isSet !== undefined) return isSet ? t.settings.set : t.settings.unset
  if (value === undefined || value === null) return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
