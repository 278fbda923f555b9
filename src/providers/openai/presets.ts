import type { Preset } from '#providers/preset.ts'

/** Without a fast processor it takes long to load a model and to read a long prompt. */
const patient = { headersTimeoutMs: 1_800_000, idleTimeoutMs: 1_800_000 }
const everything = ['*']

/**
 * Services and local servers that speak this protocol, in the order in which those of the environment are tried. The
 * settings are taken from their own references.
 */
export const presets: readonly Preset[] = [
  {
    // Requests name deployments, which Azure does not list.
    name: 'azure',
    provider: 'openai',
    variable: 'AZURE_OPENAI',
    models: everything,
    settings: { apiKeyHeader: 'api-key' },
  },
  {
    name: 'openai',
    provider: 'openai',
    baseUrl: 'https://api.openai.com/v1',
    variable: 'OPENAI',
    models: [
      ...['gpt-*', 'o1*', 'o3*', 'o4*', 'chatgpt-*', 'codex-*', 'computer-use-*', 'ft:*', 'text-embedding-*'],
      ...['davinci-*', 'babbage-*', 'dall-e-*', 'whisper-*', 'tts-*', 'omni-moderation-*', 'sora-*'],
    ],
    settings: {},
  },
  {
    // Mistral refuses unknown members, and states usage on a stream's last chunk unasked.
    name: 'mistral',
    provider: 'openai',
    baseUrl: 'https://api.mistral.ai/v1',
    variable: 'MISTRAL',
    models: [
      ...['mistral-*', 'ministral-*', 'magistral-*', 'codestral-*', 'devstral-*', 'pixtral-*', 'voxtral-*'],
      ...['open-mistral-*', 'open-mixtral-*'],
    ],
    settings: { outputCapMember: 'max_tokens', streamOptions: 'never' },
  },
  {
    name: 'deepseek',
    provider: 'openai',
    baseUrl: 'https://api.deepseek.com/v1',
    variable: 'DEEPSEEK',
    models: ['deepseek-*'],
    settings: { outputCapMember: 'max_tokens' },
  },
  {
    name: 'xai',
    provider: 'openai',
    baseUrl: 'https://api.x.ai/v1',
    variable: 'XAI',
    models: ['grok-*'],
    settings: { outputCapMember: 'max_completion_tokens', refusesUnknown: true },
  },
  {
    name: 'google',
    provider: 'openai',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    variable: 'GEMINI',
    models: ['gemini-*', 'gemma-*', 'models/*'],
    settings: { outputCapMember: 'max_tokens' },
  },
  {
    // Some of Groq's models accept a bound of at most 8,192, and it refuses a larger one.
    name: 'groq',
    provider: 'openai',
    baseUrl: 'https://api.groq.com/openai/v1',
    variable: 'GROQ',
    models: [
      'llama-*',
      'groq/*',
      'moonshotai/*',
      'meta-llama/llama-4-*',
      'openai/gpt-oss-*',
      'qwen/qwen3-32b',
    ],
    settings: { outputCapMember: 'max_completion_tokens', outputCapMax: 8192, refusesUnknown: true },
  },
  {
    name: 'openrouter',
    provider: 'openai',
    baseUrl: 'https://openrouter.ai/api/v1',
    variable: 'OPENROUTER',
    models: ['*/*'],
    settings: { outputCapMember: 'max_tokens' },
  },
  {
    name: 'ollama',
    provider: 'openai',
    baseUrl: 'http://127.0.0.1:11434/v1',
    variable: 'OLLAMA',
    isLocal: true,
    hostedUrl: 'https://ollama.com/v1',
    models: everything,
    settings: { outputCapMember: 'max_tokens', ...patient },
  },
  {
    name: 'llama.cpp',
    provider: 'openai',
    baseUrl: 'http://127.0.0.1:8081/v1',
    variable: 'LLAMA_CPP',
    isLocal: true,
    models: everything,
    settings: { outputCapMember: 'max_tokens', ...patient },
  },
  {
    name: 'vllm',
    provider: 'openai',
    baseUrl: 'http://127.0.0.1:8000/v1',
    variable: 'VLLM',
    isLocal: true,
    models: everything,
    settings: { outputCapMember: 'max_tokens', ...patient },
  },
]
