import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { type Agent, aider, claudeCode, codex, continueCli, llm, opencode, qwenCode } from './agents.ts'
import { type CountedDemo, openCountedDemo, type Seen } from './counted-demo.ts'
import { installAgents } from './packages.ts'
import { type Outcome, runAgent } from './run-agent.ts'

/**
 * Real coding agents against the demo: how often each asks, how it ends, and what its user reads. Outside of the usual
 * tests, since it installs some 1.5 GB from public registries and takes ten minutes: `npm run test:agents`. `AGENTS_DIR`
 * names a folder that keeps what was installed; `AGENTS` the names of those to run.
 */
const minuteMs = 60_000
const keptFolder = process.env.AGENTS_DIR
const folder = keptFolder ?? mkdtempSync(join(tmpdir(), 'tollgate-agents-'))
const chosen = process.env.AGENTS?.split(',')

let demo: CountedDemo
let programAt: (program: string) => string
before(async () => {
  programAt = installAgents(folder)
  demo = await openCountedDemo()
})
after(async () => {
  await demo.close()
  if (keptFolder === undefined) rmSync(folder, { recursive: true, force: true })
})

interface Expected {
  /** The most requests that reach this server. */
  readonly requests: number
  /** Undefined where the agent asks on for longer than this test waits. */
  readonly exitCode: number | undefined
  readonly shows: RegExp
}

const spentLimits = { claude: 200_000, turbo: 200_000, gpt4: 200_000 }
/** Who asks, by what stands in the way. */
const users = {
  plain: async () => 'demo-sue',
  'quota spent': () =>
    demo.createUser({ period: 'daily', tokenLimits: spentLimits, tokenCounts: spentLimits }),
  'unknown access token': async () => 'sk-nobody-has-this',
  'model not served': () => demo.createUser({ allowedModels: ['another'] }),
  disabled: async () => 'demo-eve',
} as const satisfies Readonly<Record<string, () => Promise<string>>>
type Case = keyof typeof users

/** What was seen; a request more is a fault of ours until it is known to be the agent's own. */
const expected: readonly (readonly [Agent, Readonly<Record<Case, Expected>>])[] = [
  [
    claudeCode,
    {
      plain: { requests: 1, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 1, exitCode: 1, shows: /quota does not allow/ },
      'unknown access token': { requests: 1, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 2, exitCode: 1, shows: /issue with the selected model/ },
      disabled: { requests: 1, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
  [
    codex,
    {
      plain: { requests: 2, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 2, exitCode: 1, shows: /hit your usage limit. Try again at/ },
      'unknown access token': { requests: 7, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 2, exitCode: 1, shows: /may not use the model/ },
      disabled: { requests: 7, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
  [
    opencode,
    {
      plain: { requests: 2, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 14, exitCode: undefined, shows: /./ },
      'unknown access token': { requests: 2, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 2, exitCode: 1, shows: /may not use the model/ },
      disabled: { requests: 2, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
  [
    qwenCode,
    {
      plain: { requests: 2, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 8, exitCode: undefined, shows: /./ },
      'unknown access token': { requests: 2, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 2, exitCode: 1, shows: /may not use the model/ },
      disabled: { requests: 2, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
  [
    continueCli,
    {
      plain: { requests: 1, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 12, exitCode: 1, shows: /quota does not allow/ },
      'unknown access token': { requests: 1, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 1, exitCode: 1, shows: /may not use the model/ },
      disabled: { requests: 1, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
  [
    aider,
    {
      plain: { requests: 1, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 9, exitCode: 0, shows: /quota does\s+not allow/ },
      'unknown access token': { requests: 1, exitCode: 0, shows: /This access\s+token is not\s+known/ },
      'model not served': { requests: 1, exitCode: 0, shows: /may not use the\s+model/ },
      // It takes every 403 for a passing fault.
      disabled: { requests: 9, exitCode: 0, shows: /disabled:\s+Shared her/ },
    },
  ],
  [
    llm,
    {
      plain: { requests: 1, exitCode: 0, shows: /simulated/ },
      'quota spent': { requests: 1, exitCode: 1, shows: /quota does not allow/ },
      'unknown access token': { requests: 1, exitCode: 1, shows: /access token is not known/ },
      'model not served': { requests: 1, exitCode: 1, shows: /may not use the model/ },
      disabled: { requests: 1, exitCode: 1, shows: /disabled: Shared her access token/ },
    },
  ],
]

function report(test: TestContext, { exitCode, seconds, shown }: Outcome, seen: readonly Seen[]): void {
  const statuses = seen.map(({ status }) => status).join(' ')
  test.diagnostic(`${seen.length} requests (${statuses}), exit code ${exitCode}, ${seconds.toFixed(1)} s`)
  test.diagnostic(shown.trim().split('\n').slice(-3).join(' | ').slice(-400))
}

for (const [agent, cases] of expected) {
  const isChosen = chosen === undefined || chosen.includes(agent.name)
  describe(agent.name, { skip: !isChosen }, () => {
    for (const name of Object.keys(users) as Case[]) {
      it(name, { timeout: 4 * minuteMs }, async (test) => {
        const { requests, exitCode, shows } = cases[name]
        const accessToken = await users[name]()
        const asked = { origin: demo.origin, accessToken, prompt: 'say hi' }
        const outcome = await runAgent(agent, programAt, asked, (exitCode === undefined ? 1 : 3) * minuteMs)
        const seen = demo.takeSeen()
        report(test, outcome, seen)
        assert.ok(seen.length > 0 && seen.length <= requests, `${seen.length} requests`)
        assert.equal(outcome.exitCode, exitCode)
        assert.match(outcome.shown, shows)
      })
    }
  })
}

describe('a user with 100,000 units a day', {
  skip: chosen !== undefined && !chosen.includes('Claude Code'),
}, () => {
  it('runs Claude Code, and three at once beside it', { timeout: 4 * minuteMs }, async (test) => {
    const accessToken = await demo.createUser({ period: 'daily', tokenLimits: { claude: 100_000 } })
    const run = (prompt: string) =>
      runAgent(claudeCode, programAt, { origin: demo.origin, accessToken, prompt }, minuteMs)
    const alone = await run('say hi')
    report(test, alone, demo.takeSeen())
    assert.equal(alone.exitCode, 0)
    const outcomes = await Promise.all(['say one', 'say two', 'say three'].map(run))
    const seen = demo.takeSeen()
    for (const outcome of outcomes) {
      report(test, outcome, seen)
      assert.equal(outcome.exitCode, 0)
      assert.match(outcome.shown, /simulated/)
    }
    assert.deepEqual([...new Set(seen.map(({ status }) => status))], [200])
    test.diagnostic(await demo.usageOf(accessToken))
  })
})
