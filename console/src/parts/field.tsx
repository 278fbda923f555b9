import {
  type InputHTMLAttributes,
  type ReactNode,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from 'react'

const box =
  'w-full rounded-6 border border-line bg-raised px-2 py-1 min-h-8 text-14 text-text placeholder:text-soft aria-invalid:border-stop'

interface Common {
  label: string
  help?: ReactNode
  /** The server's message about this field. */
  fault?: string | undefined
  /** What another administrator set meanwhile. */
  beside?: string | undefined
}

function Frame({ id, label, help, fault, beside, children }: Common & { id: string; children: ReactNode }) {
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-13 font-medium">
        {label}
        {beside !== undefined && (
          <span className="ms-2 rounded-6 bg-soon-quiet px-1 text-soon">{beside}</span>
        )}
      </label>
      {children}
      {help && (
        <p id={`${id}-help`} className="m-0 text-12 text-soft">
          {help}
        </p>
      )}
      {fault && (
        <p id={`${id}-fault`} role="alert" className="m-0 text-13 text-stop">
          {fault}
        </p>
      )}
    </div>
  )
}

function described(id: string, { help, fault }: Common) {
  const ids = [help && `${id}-help`, fault && `${id}-fault`].filter(Boolean).join(' ')
  return { id, 'aria-invalid': fault !== undefined || undefined, 'aria-describedby': ids || undefined }
}

export function TextField({
  label,
  help,
  fault,
  beside,
  className = '',
  ...rest
}: Common & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId()
  return (
    <Frame {...{ id, label, help, fault, beside }}>
      <input
        autoComplete="off"
        {...rest}
        {...described(id, { label, help, fault })}
        className={`${box} ${className}`}
      />
    </Frame>
  )
}

export function TextArea({
  label,
  help,
  fault,
  beside,
  ...rest
}: Common & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId()
  return (
    <Frame {...{ id, label, help, fault, beside }}>
      <textarea rows={3} {...rest} {...described(id, { label, help, fault })} className={box} />
    </Frame>
  )
}

export function SelectField({
  label,
  help,
  fault,
  beside,
  ...rest
}: Common & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId()
  return (
    <Frame {...{ id, label, help, fault, beside }}>
      <select {...rest} {...described(id, { label, help, fault })} className={box} />
    </Frame>
  )
}

/** A filter above a list: the label stands before it. */
export function Filter({
  label,
  options,
  value,
  onPick,
}: {
  label: string
  options: readonly (readonly [value: string, label: string])[]
  value: string
  onPick: (value: string) => void
}) {
  const id = useId()
  return (
    <span className="inline-flex items-center gap-1 text-13">
      <label htmlFor={id} className="text-soft whitespace-nowrap">
        {label}
      </label>
      <select
        id={id}
        value={value}
        onChange={(event) => onPick(event.target.value)}
        className={`${box} w-auto text-13`}
      >
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </span>
  )
}
