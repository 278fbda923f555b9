import { type JsonRecord, recordOf } from './figures.ts'

/**
 * Errors about the operator's own account at the provider, in the format of any protocol. They are for the operator: the
 * user's own quota and access token are not concerned. Providers send them with 402 and 401, and as often with 400, 403,
 * 412 or 429, where only the text distinguishes them from an error of the request.
 */
export type OperatorRefusal = 'credential' | 'account'

/** Recognises such an error by the status alone, before its body has arrived. */
export function operatorRefusalByStatus(status: number): OperatorRefusal | undefined {
  if (status === 401 || status === 407) return 'credential'
  return status === 402 ? 'account' : undefined
}

/** @param text the body, decoded */
export function operatorRefusalIn(text: string): OperatorRefusal | undefined {
  const { codes, messages } = readError(text)
  for (const code of codes) {
    if (credentialCodes.has(code)) return 'credential'
    if (accountCodes.has(code)) return 'account'
  }
  if (messages.some((message) => credentialWords.test(message))) return 'credential'
  return messages.some((message) => accountWords.test(message)) ? 'account' : undefined
}

/** An error's message, at most 2,000 characters; undefined if the error has no known format. */
export function errorMessageIn(text: string): string | undefined {
  return rootOf(text) && readError(text).messages[0]?.slice(0, 2000)
}

/** @param event one server-sent event, or JSON that was sent instead of one */
export function operatorRefusalInEvent(event: string): OperatorRefusal | undefined {
  const data = event.split(/\r\n|\n|\r/).flatMap((line) => (/^data:/.test(line) ? [line.slice(5)] : []))
  return operatorRefusalIn(data.length === 0 ? event : data.join('\n'))
}

const credentialCodes: ReadonlySet<string> = new Set([
  'account_deactivated',
  'api_key_invalid',
  'authentication_error',
  'base_resp.1004',
  'base_resp.2049',
  'invalid_api_key',
  'invalid_authentication',
  'invalid_authentication_error',
  'unauthenticated',
])

const accountCodes: ReadonlySet<string> = new Set([
  'arrearage',
  'base_resp.1008',
  'billing_error',
  'billing_hard_limit_reached',
  'billing_not_active',
  'blocked_api_access',
  'budget_exceeded',
  'credit_limit_exceeded',
  'exceeded_current_quota_error',
  'insufficient_balance',
  'insufficient_credits',
  'insufficient_quota',
  'insufficient_user_quota',
  'organization_restricted',
  'payment_required',
  'pre_consume_token_quota_failed',
  'unsupported_country_region_territory',
])

const credentialWords = /\bapi key not valid\b|\b(incorrect|invalid) api key\b|\bapi key (has )?expired\b/i

/** Only whole phrases, since the error of a malformed request may repeat words of that request. */
const accountWords = new RegExp(
  [
    'credit balance is too low',
    'insufficient[_ ](account )?(balance|credits?|funds|quota)',
    '(balance|credits?|quota) (is|are) (insufficient|not (enough|sufficient))',
    "(requires more|not enough|do(es)?n[o']t have (enough|any|sufficient)) credits",
    '(used all available|out of|exhausted (your|all)( available)?) credits',
    '(purchase|buy|add) (more )?credits',
    'more credits are required',
    'check your (plan and )?billing',
    'lack of credits',
    '(monthly|spending|billing|usage|credit|key|hard) limit (has been |was )?(reached|exceeded|hit)',
    '(reached|exceeded|hit) (its|your|the)( \\w+)? (monthly|spend|spending|billing|usage|credit|api usage|workspace api usage)( \\w+)? limits?',
    'reaching the monthly spending limit',
    'reached your specified',
    'budget has been exceeded',
    'exceeded your current quota',
    'out of call volume quota',
    'failure to pay',
    'account is (not active|suspended|deactivated|disabled|overdue)',
    'account \\S+ is (suspended|disabled|deactivated)',
    'account is in good standing',
    'organi[sz]ation has been (disabled|restricted|deactivated|suspended)',
    'user location is not supported',
    '余额不足',
    '额度不足',
    '欠费',
  ].join('|'),
  'i',
)

/** Reads the code and the message from all places where the known formats have them. */
function readError(text: string): {
  readonly codes: readonly string[]
  readonly messages: readonly string[]
} {
  const root = rootOf(text)
  const inner = recordOf(root?.error)
  // On `/v1/responses` an event has its error within the response.
  const response = recordOf(root?.response)
  const base = recordOf(root?.base_resp)
  const records = [root, inner, recordOf(inner?.error), recordOf(response?.error), base].filter(
    (record) => record !== undefined,
  )
  const codes = records.flatMap((record) => [
    ...textsOf(record, ['code', 'type', 'status', 'reason']),
    ...detailsOf(record).flatMap((detail) => textsOf(detail, ['reason'])),
  ])
  if (base) codes.push(`base_resp.${base.status_code}`)
  const messages = records.flatMap((record) =>
    textsOf(record, ['message', 'error', 'detail', 'msg', 'status_msg']),
  )
  return { codes: codes.map((code) => code.toLowerCase()), messages: root ? messages : [text.slice(0, 2000)] }
}

/** One of Google's endpoints wraps its error in a list. */
function rootOf(text: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return recordOf(Array.isArray(value) ? value[0] : value)
  } catch {
    return undefined
  }
}

function detailsOf(record: JsonRecord): readonly JsonRecord[] {
  const { details } = record
  return Array.isArray(details) ? details.map(recordOf).filter((detail) => detail !== undefined) : []
}

function textsOf(record: JsonRecord, keys: readonly string[]): readonly string[] {
  return keys.map((key) => record[key]).filter((value) => typeof value === 'string')
}

/** Names that identify the operator at a provider: of an organisation, project, team, user or workspace, or of a key. */
const operatorNames = new RegExp(
  [
    '\\b(org|proj|team|acct|wrkspc)[-_][A-Za-z0-9]{6,}',
    '\\buser[-_][A-Za-z0-9]{16,}',
    '\\b(sk|pk|ak|rk|gsk|xai)[-_][A-Za-z0-9_*-]{8,}',
    '(?<=\\b(organi[sz]ation|org|team|account|workspace|project|subscription)\\W{1,3})[0-9a-f]{8}-[0-9a-f-]{27}\\b',
    '(?<=\\bprojects?[ /])\\d{6,}\\b',
  ].join('|'),
  'gi',
)

/** An error's text without those names; the same string if it holds no such name. */
export function withoutOperatorNames(text: string): string {
  return text.replace(operatorNames, '(hidden)')
}
