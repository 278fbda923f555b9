import { inputMembers } from '#providers/input-members.ts'
import { readDataList } from '#providers/listed-models.ts'
import { answerHeadersAnywhere, requestHeadersAnywhere } from '#providers/passed-headers.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { openStreamMeter } from '#providers/stream/meter.ts'
import { type AnswerGrammar, readWholeAnswer } from '#providers/whole-answer.ts'
import { renderProblem, renderStreamProblem } from './errors.ts'
import { limitHeaders } from './limits.ts'
import { renderModel, renderModelList } from './models.ts'
import { otherEndpoints, passedEndpoint } from './other-endpoints.ts'
import { presets } from './presets.ts'
import {
  editChat,
  editCompletion,
  editResponse,
  optionEdits,
  readChat,
  readCompletion,
  readEmbedding,
  readResponse,
} from './request.ts'
import { renderResponseProblem, renderResponseStreamProblem } from './response-errors.ts'
import { answerWords, chatStream, responsesStream } from './stream.ts'
import { createUsageReader } from './usage.ts'

const answers: AnswerGrammar = {
  createUsageReader,
  members: { tools: 'tool_usage', tier: 'service_tier' },
  words: answerWords,
}

/** The parts that all endpoints share; each adds how its requests are read and edited, and how it streams. */
const shared = {
  isMetered: true,
  readAnswer: (body: Buffer, bytes?: number) => readWholeAnswer(answers, body, bytes),
} satisfies Partial<Endpoint>

const endpoints: readonly Endpoint[] = [
  {
    ...shared,
    path: '/v1/chat/completions',
    upstreamPath: '/chat/completions',
    readRequest: readChat,
    editsFor: editChat,
    openStream: (options) => openStreamMeter(chatStream, options),
  },
  {
    ...shared,
    path: '/v1/completions',
    upstreamPath: '/completions',
    readRequest: readCompletion,
    editsFor: editCompletion,
    openStream: (options) => openStreamMeter(chatStream, options),
  },
  {
    ...shared,
    path: '/v1/responses',
    upstreamPath: '/responses',
    modelMayBeIn: 'prompt',
    readRequest: readResponse,
    editsFor: editResponse,
    openStream: (options) => openStreamMeter(responsesStream, { ...options, withholdsUsage: false }),
    problems: { renderProblem: renderResponseProblem, renderStreamProblem: renderResponseStreamProblem },
  },
  {
    ...shared,
    path: '/v1/embeddings',
    upstreamPath: '/embeddings',
    readRequest: readEmbedding,
    editsFor: optionEdits,
    openStream: (options) => openStreamMeter(chatStream, { ...options, withholdsUsage: false }),
    readAnswer: (body, bytes) => readWholeAnswer({ createUsageReader }, body, bytes),
  },
  ...otherEndpoints,
]

/** Regions have separate hosts, and Azure serves the same models by the same rules. */
const officialHosts = [
  'openai.com',
  'openai.azure.com',
  'services.ai.azure.com',
  'cognitiveservices.azure.com',
]

function isOfficialHost(hostname: string): boolean {
  return officialHosts.some((host) => hostname.endsWith(`.${host}`))
}

export const openai: Provider = {
  name: 'openai',
  publicBaseUrl: 'https://api.openai.com/v1',
  isOfficialHost,
  presets,
  pathPrefix: '/v1',
  endpoints,
  inputMembers: { ...inputMembers, readsCompactions: false },
  personMembers: [['user'], ['safety_identifier']],
  passedEndpoint,
  credentialHeaders: (apiKey) => ({ authorization: `Bearer ${apiKey}` }),
  accessTokenHeaders: [],
  // Azure's and Google's.
  privateHeaders: ['api-key', 'x-goog-api-key'],
  defaultHeaders: {},
  // This protocol claims every request that no other protocol claims.
  claims: () => true,
  requestIdHeader: 'x-request-id',
  renderProblem,
  renderStreamProblem,
  limitHeaders,
  requestHeaders: [
    ...requestHeadersAnywhere,
    'openai-beta',
    // Codex and similar programs.
    'originator',
    'session_id',
    'session-id',
    'conversation_id',
    'version',
  ],
  answerHeaders: [
    ...answerHeadersAnywhere,
    'openai-processing-ms',
    'openai-version',
    'openai-model',
    'x-reasoning-included',
  ],
  modelsPath: '/v1/models',
  upstreamModelsPath: '/models',
  // Some services send long lists in pages, others ignore the parameter.
  modelsQuery: '?limit=1000',
  readModelList: readDataList,
  renderModelList,
  renderModel,
}
