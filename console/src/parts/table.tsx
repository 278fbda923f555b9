import type { ReactNode } from 'react'

export interface Column<T> {
  readonly key: string
  readonly head: ReactNode
  readonly cell: (row: T) => ReactNode
  /** Figures stand at the right. */
  readonly isFigure?: boolean
  /** Left out on narrow screens. */
  readonly isExtra?: boolean
}

/** A plain table; it scrolls by itself where it is wider than the page. */
export function Table<T>({
  columns,
  rows,
  keyOf,
  label,
  isCurrent,
  onRow,
}: {
  columns: readonly Column<T>[]
  rows: readonly T[]
  keyOf: (row: T) => string
  label: string
  isCurrent?: (row: T) => boolean
  onRow?: (row: T) => void
}) {
  const place = ({ isFigure, isExtra }: Column<T>) =>
    `px-2 py-2 ${isFigure ? 'text-end' : 'text-start'} ${isExtra ? 'max-md:hidden' : ''}`
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full border-collapse text-13">
        <thead>
          <tr className="border-b border-line text-soft">
            {columns.map((column) => (
              <th key={column.key} scope="col" className={`${place(column)} font-medium whitespace-nowrap`}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={keyOf(row)}
              aria-current={isCurrent?.(row) || undefined}
              onClick={onRow && (() => onRow(row))}
              className={`border-b border-line align-top hover:bg-quiet aria-[current]:bg-accent-quiet ${onRow ? 'cursor-pointer' : ''}`}
            >
              {columns.map((column) => (
                <td key={column.key} className={place(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
