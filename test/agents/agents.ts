import { join } from 'node:path'

/** A coding agent as a user runs it once, without a terminal: which program, and how it finds this server. */
export interface Agent {
  readonly name: string
  readonly program: string
  readonly args: (at: Setting) => readonly string[]
  readonly env: (at: Setting) => Readonly<Record<string, string>>
  /** What its configuration holds, by path below its home. */
  readonly files?: (at: Setting) => Readonly<Record<string, string>>
}

interface Setting {
  readonly origin: string
  readonly accessToken: string
  readonly prompt: string
  readonly home: string
}

const model = 'gpt-4o-mini'
const lines = (...all: readonly string[]) => `${all.join('\n')}\n`

export const claudeCode: Agent = {
  name: 'Claude Code',
  program: 'claude',
  args: ({ prompt }) => ['-p', prompt],
  env: ({ origin, accessToken }) => ({
    ANTHROPIC_BASE_URL: origin,
    ANTHROPIC_API_KEY: accessToken,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
  }),
}

export const codex: Agent = {
  name: 'Codex',
  program: 'codex',
  args: ({ prompt }) => ['exec', '--skip-git-repo-check', prompt],
  env: ({ accessToken, home }) => ({ TOLLGATE_TOKEN: accessToken, CODEX_HOME: join(home, '.codex') }),
  files: ({ origin }) => ({
    '.codex/config.toml': lines(
      `model = "${model}"`,
      'model_provider = "tollgate"',
      'check_for_update_on_startup = false',
      '[analytics]',
      'enabled = false',
      '[model_providers.tollgate]',
      'name = "Tollgate"',
      `base_url = "${origin}/v1"`,
      'env_key = "TOLLGATE_TOKEN"',
      'wire_api = "responses"',
      'supports_websockets = true',
    ),
  }),
}

export const opencode: Agent = {
  name: 'opencode',
  program: 'opencode',
  args: ({ prompt }) => ['run', prompt],
  env: ({ accessToken }) => ({
    TOLLGATE_TOKEN: accessToken,
    OPENCODE_DISABLE_AUTOUPDATE: '1',
    OPENCODE_DISABLE_MODELS_FETCH: '1',
    OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
    OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
  }),
  files: ({ origin }) => ({
    '.config/opencode/opencode.json': JSON.stringify({
      autoupdate: false,
      share: 'disabled',
      model: `tollgate/${model}`,
      small_model: `tollgate/${model}`,
      enabled_providers: ['tollgate'],
      provider: {
        tollgate: {
          npm: '@ai-sdk/openai-compatible',
          name: 'Tollgate',
          options: { baseURL: `${origin}/v1`, apiKey: '{env:TOLLGATE_TOKEN}' },
          models: { [model]: { name: model } },
        },
      },
    }),
  }),
}

export const qwenCode: Agent = {
  name: 'qwen-code',
  program: 'qwen',
  args: ({ prompt }) => ['--auth-type', 'openai', '-p', prompt],
  env: ({ origin, accessToken }) => ({
    OPENAI_BASE_URL: `${origin}/v1`,
    OPENAI_API_KEY: accessToken,
    OPENAI_MODEL: model,
  }),
  files: () => ({
    '.qwen/settings.json': JSON.stringify({
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
      general: { disableAutoUpdate: true, enableAutoUpdate: false },
    }),
  }),
}

export const continueCli: Agent = {
  name: 'Continue',
  program: 'cn',
  args: ({ home, prompt }) => ['--config', join(home, '.continue', 'config.yaml'), '-p', prompt],
  env: ({ home }) => ({
    CONTINUE_GLOBAL_DIR: join(home, '.continue'),
    CONTINUE_TELEMETRY_ENABLED: '0',
    CONTINUE_METRICS_ENABLED: '0',
  }),
  files: ({ origin, accessToken }) => ({
    '.continue/config.yaml': lines(
      'name: Tollgate',
      'version: 1.0.0',
      'schema: v1',
      'models:',
      `  - name: ${model}`,
      '    provider: openai',
      `    model: ${model}`,
      `    apiBase: ${origin}/v1`,
      `    apiKey: ${accessToken}`,
      '    roles: [chat]',
    ),
  }),
}

export const aider: Agent = {
  name: 'aider',
  program: 'aider',
  args: ({ prompt }) => [
    ...['--model', `openai/${model}`, '--message', prompt, '--yes-always', '--no-git', '--no-pretty'],
    ...['--no-check-update', '--analytics-disable', '--no-show-model-warnings', '--no-show-release-notes'],
  ],
  env: ({ origin, accessToken }) => ({
    OPENAI_API_BASE: `${origin}/v1`,
    OPENAI_API_KEY: accessToken,
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
  }),
}

export const llm: Agent = {
  name: 'llm',
  program: 'llm',
  args: ({ prompt }) => ['-m', 'tollgate', prompt],
  env: ({ home }) => ({ LLM_USER_PATH: join(home, 'llm') }),
  files: ({ origin, accessToken }) => ({
    'llm/keys.json': JSON.stringify({ tollgate: accessToken }),
    'llm/extra-openai-models.yaml': lines(
      '- model_id: tollgate',
      `  model_name: ${model}`,
      `  api_base: ${origin}/v1`,
      '  api_key_name: tollgate',
    ),
  }),
}
