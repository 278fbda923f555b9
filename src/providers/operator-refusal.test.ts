import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { operatorRefusalByStatus, operatorRefusalIn, withoutOperatorNames } from './operator-refusal.ts'

const openai = (message: string, type: string, code: string | null = null) => ({
  error: { message, type, param: null, code },
})
const anthropic = (message: string, type = 'invalid_request_error') => ({
  type: 'error',
  error: { type, message },
  request_id: 'req_1',
})
const uuid = '0dccdde6-f924-4f1b-bb3b-92ef846e0a5b'

/** As providers send them; only names are made up. */
const aboutAccount: readonly unknown[] = [
  openai(
    'You exceeded your current quota, please check your plan and billing details.',
    'insufficient_quota',
    'insufficient_quota',
  ),
  openai(
    'Your account is not active, please check your billing details on our website.',
    'billing_not_active',
    'billing_not_active',
  ),
  openai('Billing hard limit has been reached', 'invalid_request_error', 'billing_hard_limit_reached'),
  openai(
    'Country, region, or territory not supported',
    'request_forbidden',
    'unsupported_country_region_territory',
  ),
  openai('Insufficient Balance', 'unknown_error', 'invalid_request_error'),
  openai(
    'Organization has been restricted. Please reach out to support if you believe this was in error.',
    'invalid_request_error',
    'organization_restricted',
  ),
  openai(
    'Your account org-aaaaaaaaaaaa<ak-bbbbbbbb> is suspended, please check your plan and billing details',
    'exceeded_current_quota_error',
  ),
  openai('Budget has been exceeded! Current cost: 10.1, Max budget: 10.0', 'budget_exceeded', '400'),
  openai(
    'Account somebody is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.',
    'error',
    'PRECONDITION_FAILED',
  ),
  openai('Access denied, please make sure your account is in good standing.', 'Arrearage', 'Arrearage'),
  openai(
    'litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan',
    'None',
    '429',
  ),
  anthropic(
    'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.',
  ),
  anthropic('This organization has been disabled.'),
  anthropic(
    'You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.',
  ),
  anthropic('There is a problem with your billing.', 'billing_error'),
  {
    error: {
      message:
        'This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, but can only afford 27342.',
      code: 402,
    },
    user_id: 'user_aaaaaaaaaaaaaaaaaaaaaaaa',
  },
  { error: { error: { message: 'More credits are required to run this request.', code: 402 }, code: 402 } },
  {
    error: {
      message: 'Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys',
      code: 403,
    },
  },
  {
    code: 'The caller does not have permission',
    error: `Your team ${uuid} has either used all available credits or reached its monthly spending limit.`,
  },
  { code: 30001, message: 'Sorry, your account balance is insufficient', data: null },
  { error: { message: '用户额度不足, 剩余额度: 0', type: 'new_api_error', code: 'insufficient_user_quota' } },
  [
    {
      error: {
        code: 429,
        message: 'You exceeded your current quota, please check your plan and billing details.',
        status: 'RESOURCE_EXHAUSTED',
      },
    },
  ],
]

const aboutCredential: readonly unknown[] = [
  [
    {
      error: {
        code: 400,
        message: 'API key not valid. Please pass a valid API key.',
        status: 'INVALID_ARGUMENT',
        details: [{ reason: 'API_KEY_INVALID' }],
      },
    },
  ],
  {
    code: 'Client specified an invalid argument',
    error: 'Incorrect API key provided: xa***. You can obtain an API key from https://console.x.ai.',
  },
  openai('Incorrect API key provided: sk-proj-abcd****wxyz.', 'invalid_request_error', 'invalid_api_key'),
  anthropic('invalid x-api-key', 'authentication_error'),
]

/** What is the user's own to read. */
const aboutRequest: readonly unknown[] = [
  openai(
    "Unsupported value: 'temperature' does not support 3 with this model.",
    'invalid_request_error',
    'unsupported_value',
  ),
  openai(
    "Invalid value: 'billing'. Supported values are: 'system', 'user'.",
    'invalid_request_error',
    'invalid_value',
  ),
  openai(
    'Rate limit reached for gpt-4o in organization org-aaaaaaaaaaaa on tokens per min (TPM): Limit 30000, Used 29937, Requested 385.',
    'tokens',
    'rate_limit_exceeded',
  ),
  openai(
    "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
    'invalid_request_error',
    'context_length_exceeded',
  ),
  openai(
    'Project `proj_aaaaaaaaaa` does not have access to model `gpt-9`',
    'invalid_request_error',
    'model_not_found',
  ),
  anthropic('max_tokens: 999999 > 64000, which is the maximum allowed number of output tokens'),
  anthropic('Number of requests has exceeded your rate limit.', 'rate_limit_error'),
  {
    error: {
      message:
        'openai/gpt-4o requires moderation on OpenAI. Your input was flagged for "violence". No credits were charged.',
      code: 403,
      metadata: { flagged_input: 'purchase credits' },
    },
  },
  {
    object: 'error',
    message: 'The model `x` does not exist.',
    type: 'NotFoundError',
    param: null,
    code: 404,
  },
  { detail: [{ loc: ['body', 'messages'], msg: 'field required', type: 'value_error.missing' }] },
  { error: 'model "x" not found, try pulling it first' },
  'Bad Request',
]

describe('errors that speak of the operator', () => {
  for (const body of aboutAccount)
    it(`of the account: ${JSON.stringify(body).slice(0, 90)}`, () =>
      assert.equal(operatorRefusalIn(JSON.stringify(body)), 'account'))
  for (const body of aboutCredential)
    it(`of the credential: ${JSON.stringify(body).slice(0, 90)}`, () =>
      assert.equal(operatorRefusalIn(JSON.stringify(body)), 'credential'))
  for (const body of aboutRequest)
    it(`not of them: ${JSON.stringify(body).slice(0, 90)}`, () => {
      assert.equal(operatorRefusalIn(JSON.stringify(body)), undefined)
      assert.equal(
        operatorRefusalIn(typeof body === 'string' ? body : JSON.stringify(body, null, 2)),
        undefined,
      )
    })

  it('are known by some statuses alone', () => {
    const known = [400, 401, 402, 403, 404, 407, 429, 500].map(operatorRefusalByStatus)
    assert.deepEqual(known, [
      undefined,
      'credential',
      'account',
      undefined,
      undefined,
      'credential',
      undefined,
      undefined,
    ])
  })

  it('loses the names by which a provider knows the operator, and nothing else', () => {
    const hidden: readonly (readonly [string, string])[] = [
      ['in organization org-uOtiSEwvUnro on tokens', 'in organization (hidden) on tokens'],
      ['Project `proj_aaaaaaaaaa` has no', 'Project `(hidden)` has no'],
      [`for your organization (${uuid}) of 20,000`, 'for your organization ((hidden)) of 20,000'],
      [`(org: ${uuid}, model: claude-x)`, '(org: (hidden), model: claude-x)'],
      [`Your team ${uuid} has`, 'Your team (hidden) has'],
      ['{"user_id":"user_3D0IVsejFIV6kOYwkxFE9nKiq0g"}', '{"user_id":"(hidden)"}'],
      ['provided: sk-proj-ab****yz.', 'provided: (hidden).'],
      ['not been used in project 123456789 before', 'not been used in project (hidden) before'],
    ]
    for (const [text, shown] of hidden) assert.equal(withoutOperatorNames(text), shown)
    const kept = [
      `request ID ${uuid}`,
      'req_011CXF1SZ3S3oXChsdxhoUwV',
      'the project is key-value',
      'user_prompt',
      'gpt-4o-mini',
    ]
    for (const text of kept) assert.equal(withoutOperatorNames(text), text)
  })
})
