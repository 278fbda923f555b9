import { estimateAnswer } from '#providers/answer-estimate.ts'
import { answerHeadersAnywhere, requestHeadersAnywhere } from '#providers/passed-headers.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { openStreamMeter } from '#providers/stream-meter.ts'
import { readBodyUsage } from '#providers/usage-reader.ts'
import { renderProblem, renderStreamProblem } from './errors.ts'
import { limitHeaders } from './limits.ts'
import { renderModel, renderModelList } from './models.ts'
import { editMessage, readCount, readMessage } from './request.ts'
import { answerWords, messageStream } from './stream.ts'
import { createUsageReader } from './usage.ts'

const endpoints: readonly Endpoint[] = [
  {
    path: '/v1/messages',
    upstreamPath: '/v1/messages',
    isMetered: true,
    readRequest: readMessage,
    editsFor: editMessage,
    readUsage: (body) => readBodyUsage(body, createUsageReader()),
    openStream: () => openStreamMeter(messageStream, { withholdsUsage: false }),
    estimateOutput: (body) => estimateAnswer(body, answerWords),
  },
  {
    path: '/v1/messages/count_tokens',
    upstreamPath: '/v1/messages/count_tokens',
    isMetered: false,
    readRequest: readCount,
    editsFor: () => [],
    readUsage: () => undefined,
    openStream: () => openStreamMeter(messageStream, { withholdsUsage: false }),
    estimateOutput: () => 0,
  },
]

export const anthropic: Provider = {
  name: 'anthropic',
  publicBaseUrl: 'https://api.anthropic.com',
  isOfficialHost: (hostname) => hostname.endsWith('.anthropic.com'),
  endpoints,
  credentialHeaders: (apiKey) => ({ 'x-api-key': apiKey }),
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
    // Claude Code, and programs that are made like it.
    'x-app',
    'x-claude-code-*',
  ],
  answerHeaders: answerHeadersAnywhere,
  renderModelList,
  renderModel,
}
