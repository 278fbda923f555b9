import { SignJWT } from 'jose'
import type { FrontEndSettings } from '#core/front-end.ts'

/** A front end's settings, as the admin API stores them. */
export function frontEndSettings(more: Partial<FrontEndSettings> = {}): FrontEndSettings {
  return {
    kind: 'header',
    header: 'x-person',
    isRequired: false,
    peopleMax: 100,
    template: {},
    shownTemplate: {},
    ...more,
  }
}

export const frontEndSecret = 'a-shared-secret-of-a-front-end-1'

/** A token as Open WebUI signs it. */
export function signName(
  claims: Readonly<Record<string, unknown>>,
  { secret = frontEndSecret, alg = 'HS256' }: { readonly secret?: string; readonly alg?: string } = {},
): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT' }).sign(new TextEncoder().encode(secret))
}

export const secondsNow = () => Math.floor(Date.now() / 1000)
