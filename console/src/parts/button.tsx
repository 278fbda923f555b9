import type { ButtonHTMLAttributes } from 'react'
import { Link } from 'wouter'

const looks = {
  main: 'bg-accent text-on-accent border-accent hover:opacity-90',
  plain: 'bg-raised text-text border-line hover:bg-quiet',
  stop: 'bg-stop text-on-stop border-stop hover:opacity-90',
  bare: 'bg-transparent text-accent border-transparent hover:bg-quiet',
}

type Look = keyof typeof looks
const shape =
  'inline-flex items-center justify-center gap-2 rounded-6 border px-3 min-h-8 text-14 font-medium no-underline disabled:opacity-50 disabled:cursor-default whitespace-nowrap'

export function Button({
  look = 'plain',
  className = '',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { look?: Look }) {
  return <button type="button" {...rest} className={`${shape} ${looks[look]} ${className}`} />
}

export function ButtonLink({
  look = 'plain',
  href,
  children,
}: {
  look?: Look
  href: string
  children: React.ReactNode
}) {
  return (
    <Link href={href} className={`${shape} ${looks[look]}`}>
      {children}
    </Link>
  )
}
