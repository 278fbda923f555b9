import type { Preset } from '#providers/provider.ts'

/** A model that has to be loaded and a long prompt take their time without a fast processor. */
const patient = { headersTimeoutMs: 1_800_000, idleTimeoutMs: 1_800_000 }
const everything = ['*']

/**
 * Services and local servers that speak this protocol, in the order in which those of the environment are tried. Facts
 * are of their own references.
 */
export const presets: readonly Preset[] = [
  {
    // Models are named by their deployments, of which it has no list.
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
    // Refuses members that it does not know, and states usage on a stream's last chunk without being asked.
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
    // Some of its models take no larger bound than 8,192, and it refuses one that is.
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
