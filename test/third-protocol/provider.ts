import { answerHeadersAnywhere, requestHeadersAnywhere } from '#providers/passed-headers.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import { openStreamMeter } from '#providers/stream/meter.ts'
import { readPassed } from '#providers/unbounded-request.ts'
import { type AnswerGrammar, readWholeAnswer } from '#providers/whole-answer.ts'
import { renderProblem, renderStreamProblem } from './errors.ts'
import { limitHeaders } from './limits.ts'
import { readModelList, renderModel, renderModelList } from './models.ts'
import { presets } from './presets.ts'
import { editContent, readContent, readRecording } from './request.ts'
import { contentStream } from './stream.ts'
import { createUsageReader } from './usage.ts'

/** A protocol that the product does not speak, with the model in the path: it follows the recipe of CONTRIBUTING.md. */
const answers: AnswerGrammar = {
  createUsageReader,
  members: { usage: 'usageMetadata' },
  words: contentStream.words,
}

const shared = {
  isMetered: true,
  readAnswer: (body, bytes) => readWholeAnswer(answers, body, bytes),
  openStream: (options) => openStreamMeter(contentStream, { ...options, withholdsUsage: false }),
} satisfies Partial<Endpoint>

const operations = [
  ['generateContent', false],
  ['streamGenerateContent', true],
] as const

export const third: Provider = {
  name: 'third',
  publicBaseUrl: 'https://third.example/v1beta',
  isOfficialHost: (hostname) => hostname === 'third.example',
  presets,
  pathPrefix: '/v1beta',
  endpoints: [
    ...operations.map(([name, isStream]) => ({
      ...shared,
      path: `/v1beta/models/{model}:${name}`,
      upstreamPath: `/models/{model}:${name}`,
      readRequest: readContent(isStream),
      editsFor: editContent,
    })),
    {
      ...shared,
      path: '/v1beta/models/{model}:transcribe',
      upstreamPath: '/models/{model}:transcribe',
      formFields: ['stream'],
      readRequest: readRecording,
      editsFor: () => [],
    },
  ],
  personMembers: [],
  inputMembers: {
    unread: new Set(['generationConfig', 'safetySettings', 'toolConfig', 'cachedContent']),
    namesMore: new Set(['cachedContent']),
  },
  passedEndpoint: (path) => ({
    ...shared,
    path,
    upstreamPath: path.replace(/^\/v1beta/, ''),
    readRequest: readPassed,
    editsFor: () => [],
  }),
  credentialHeaders: (apiKey) => ({ 'x-third-key': apiKey }),
  accessTokenHeaders: ['x-third-key'],
  privateHeaders: ['x-third-project'],
  defaultHeaders: {},
  claims: (headers) => headers['x-third-key'] !== undefined,
  requestIdHeader: 'x-request-id',
  renderProblem,
  renderStreamProblem,
  limitHeaders,
  requestHeaders: [...requestHeadersAnywhere, 'x-third-*'],
  answerHeaders: [...answerHeadersAnywhere, 'x-third-*'],
  modelsPath: '/v1beta/models',
  upstreamModelsPath: '/models',
  modelsQuery: '?pageSize=1000',
  readModelList,
  renderModelList,
  renderModel,
}
