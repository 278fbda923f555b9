import { inputMembers } from '#providers/input-members.ts'
import { readDataList } from '#providers/listed-models.ts'
import { answerHeadersAnywhere, requestHeadersAnywhere } from '#providers/passed-headers.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { openStreamMeter } from '#providers/stream/meter.ts'
import { readPassed } from '#providers/unbounded-request.ts'
import { type AnswerGrammar, readCounted, readWholeAnswer } from '#providers/whole-answer.ts'
import { renderProblem, renderStreamProblem } from './errors.ts'
import { limitHeaders } from './limits.ts'
import { renderModel, renderModelList } from './models.ts'
import { presets } from './presets.ts'
import { editMessage, readCount, readMessage } from './request.ts'
import { answerWords, messageStream } from './stream.ts'
import { createUsageReader } from './usage.ts'

const answers: AnswerGrammar = { createUsageReader, words: answerWords }

const endpoints: readonly Endpoint[] = [
  {
    path: '/v1/messages',
    upstreamPath: '/v1/messages',
    isMetered: true,
    readRequest: readMessage,
    editsFor: editMessage,
    readAnswer: (body, bytes) => readWholeAnswer(answers, body, bytes),
    openStream: (options) => openStreamMeter(messageStream, { ...options, withholdsUsage: false }),
  },
  {
    path: '/v1/messages/count_tokens',
    upstreamPath: '/v1/messages/count_tokens',
    isMetered: false,
    readRequest: readCount,
    editsFor: () => [],
    readAnswer: readCounted,
    openStream: (options) => openStreamMeter(messageStream, { ...options, withholdsUsage: false }),
  },
]

/** An answer without figures is estimated by its text, so that it is not free by accident. */
function passedEndpoint(path: string): Endpoint {
  return {
    path,
    upstreamPath: path,
    isMetered: true,
    readRequest: readPassed,
    editsFor: () => [],
    readAnswer: (body, bytes) => readWholeAnswer(answers, body, bytes),
    openStream: (options) => openStreamMeter(messageStream, { ...options, withholdsUsage: false }),
  }
}

export const anthropic: Provider = {
  name: 'anthropic',
  publicBaseUrl: 'https://api.anthropic.com',
  isOfficialHost: (hostname) => hostname.endsWith('.anthropic.com'),
  presets,
  pathPrefix: '/v1',
  endpoints,
  inputMembers,
  personMembers: [['metadata', 'user_id']],
  passedEndpoint,
  credentialHeaders: (apiKey) => ({ 'x-api-key': apiKey }),
  accessTokenHeaders: ['x-api-key'],
  privateHeaders: [],
  defaultHeaders: { 'anthropic-version': '2023-06-01' },
  claims: (headers) => headers['anthropic-version'] !== undefined,
  requestIdHeader: 'request-id',
  renderProblem,
  renderStreamProblem,
  limitHeaders,
  requestHeaders: [
    ...requestHeadersAnywhere,
    'anthropic-version',
    'anthropic-beta',
    'anthropic-dangerous-direct-browser-access',
    // Claude Code and similar programs.
    'x-app',
    'x-claude-code-*',
  ],
  answerHeaders: answerHeadersAnywhere,
  modelsPath: '/v1/models',
  upstreamModelsPath: '/v1/models',
  // The service sends long lists in pages.
  modelsQuery: '?limit=1000',
  readModelList: readDataList,
  renderModelList,
  renderModel,
}
