import { useState } from 'react'
import { Refusal } from '#api/client.ts'
import { useSignIn } from '#api/session.ts'
import { Button } from '#parts/button.tsx'
import { TextField } from '#parts/field.tsx'
import { Failed, Notice } from '#parts/page.tsx'
import { t } from '#words/words.ts'
import { ProviderLink } from './provider-link.tsx'

export function SignIn() {
  const [key, setKey] = useState('')
  const [code, setCode] = useState('')
  const signIn = useSignIn()
  const refusal = signIn.error instanceof Refusal ? signIn.error : undefined
  const isAboutCode = refusal?.code === 'code_needed' || refusal?.code === 'wrong_code'
  const wantsCode = isAboutCode || code !== ''
  const isWrongKey = refusal?.status === 401 && !isAboutCode
  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-[400px] flex-col justify-center gap-6 p-6">
      <title>{t.signIn.title}</title>
      <img src="/console/mark.svg" alt="" width="48" height="48" />
      <h1 className="m-0 text-28 font-semibold">{t.signIn.title}</h1>
      {!isSecureContext && <Notice>{t.signIn.insecure}</Notice>}
      <form
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          signIn.mutate({ adminKey: key.trim(), code: code.trim() })
        }}
      >
        <TextField
          label={t.signIn.key}
          help={t.signIn.keyHelp}
          fault={isWrongKey ? t.signIn.wrong : undefined}
          type="password"
          name="admin-key"
          autoComplete="current-password"
          autoFocus
          required
          value={key}
          onChange={(event) => setKey(event.target.value)}
        />
        {wantsCode && (
          <TextField
            label={t.signIn.code}
            help={t.signIn.codeHelp}
            fault={refusal?.code === 'wrong_code' ? refusal.message : undefined}
            autoComplete="one-time-code"
            autoFocus
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        )}
        {signIn.error && !isWrongKey && !isAboutCode && <Failed error={signIn.error} />}
        <Button look="main" type="submit" disabled={signIn.isPending}>
          {t.signIn.submit}
        </Button>
      </form>
      <ProviderLink />
    </main>
  )
}
