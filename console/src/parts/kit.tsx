import { useId, useState } from 'react'
import { t } from '#words/words.ts'
import { CopyButton } from './copy.tsx'
import { TextField } from './field.tsx'

interface Wiring {
  readonly base: string
  readonly token: string
  readonly model: string
}

const json = (value: unknown) => JSON.stringify(value, null, 2)

/** Each block works when it is pasted. The settings of agents are those of docs/guides/coding-agents.md. */
const clients: readonly (readonly [name: string, block: (wiring: Wiring) => string])[] = [
  [
    'curl',
    ({ base, token, model }) =>
      [
        `curl ${base}/v1/chat/completions \\`,
        `  -H 'authorization: Bearer ${token}' -H 'content-type: application/json' \\`,
        `  -d '{"model":"${model}","messages":[{"role":"user","content":"Say hello."}]}'`,
      ].join('\n'),
  ],
  [
    'Python',
    ({ base, token, model }) =>
      [
        'from openai import OpenAI',
        '',
        `client = OpenAI(base_url="${base}/v1", api_key="${token}")`,
        `answer = client.chat.completions.create(model="${model}", messages=[{"role": "user", "content": "Say hello."}])`,
        'print(answer.choices[0].message.content)',
      ].join('\n'),
  ],
  [
    'JavaScript',
    ({ base, token, model }) =>
      [
        "import OpenAI from 'openai'",
        '',
        `const client = new OpenAI({ baseURL: '${base}/v1', apiKey: '${token}' })`,
        `const answer = await client.chat.completions.create({ model: '${model}', messages: [{ role: 'user', content: 'Say hello.' }] })`,
        'console.log(answer.choices[0].message.content)',
      ].join('\n'),
  ],
  [
    'Anthropic (Python)',
    ({ base, token, model }) =>
      [
        'import anthropic',
        '',
        `client = anthropic.Anthropic(base_url="${base}", api_key="${token}")`,
        `answer = client.messages.create(model="${model}", max_tokens=256, messages=[{"role": "user", "content": "Say hello."}])`,
        'print(answer.content[0].text)',
      ].join('\n'),
  ],
  [
    'Claude Code',
    ({ base, token }) =>
      [`export ANTHROPIC_BASE_URL=${base}`, `export ANTHROPIC_API_KEY=${token}`, 'claude'].join('\n'),
  ],
  [
    'Codex',
    ({ base, token, model }) =>
      [
        '# ~/.codex/config.toml',
        `model = "${model}"`,
        'model_provider = "tollgate"',
        '',
        '[model_providers.tollgate]',
        'name = "Tollgate"',
        `base_url = "${base}/v1"`,
        'env_key = "TOLLGATE_TOKEN"',
        'wire_api = "responses"',
        '',
        '# then, in the shell:',
        `# export TOLLGATE_TOKEN=${token}`,
      ].join('\n'),
  ],
  [
    'opencode',
    ({ base, token, model }) =>
      json({
        model: `tollgate/${model}`,
        small_model: `tollgate/${model}`,
        provider: {
          tollgate: {
            npm: '@ai-sdk/openai-compatible',
            name: 'Tollgate',
            options: { baseURL: `${base}/v1`, apiKey: token },
            models: { [model]: { name: model } },
          },
        },
      }),
  ],
  [
    'aider',
    ({ base, token, model }) =>
      [
        `export OPENAI_API_BASE=${base}/v1`,
        `export OPENAI_API_KEY=${token}`,
        `aider --model openai/${model}`,
      ].join('\n'),
  ],
  [
    'Open WebUI',
    ({ base, token }) => [`OPENAI_API_BASE_URL=${base}/v1`, `OPENAI_API_KEY=${token}`].join('\n'),
  ],
]

/** How a holder's clients are set up; the token stands in it only where it was just made or revealed. */
export function ConnectionKit({ token, base = location.origin }: { token?: string; base?: string }) {
  const [name, setName] = useState('curl')
  const [model, setModel] = useState('gpt-4o-mini')
  const id = useId()
  const block = clients.find(([client]) => client === name)?.[1] ?? (() => '')
  const text = block({ base, token: token ?? 'ACCESS_TOKEN', model })
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap gap-1" role="tablist" aria-label={t.kit.tabs}>
        {clients.map(([client], index) => (
          <button
            key={client}
            type="button"
            role="tab"
            id={`${id}-${client}`}
            aria-selected={client === name}
            aria-controls={`${id}-block`}
            tabIndex={client === name ? 0 : -1}
            onClick={() => setName(client)}
            onKeyDown={(event) => {
              const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
              if (step === undefined) return
              const next = clients[(index + step + clients.length) % clients.length]?.[0] ?? client
              setName(next)
              document.getElementById(`${id}-${next}`)?.focus()
            }}
            className="rounded-6 border-0 bg-transparent px-2 py-1 text-13 text-soft hover:bg-quiet aria-selected:bg-accent-quiet aria-selected:text-accent"
          >
            {client}
          </button>
        ))}
      </div>
      <div
        role="tabpanel"
        id={`${id}-block`}
        aria-labelledby={`${id}-${name}`}
        className="rounded-6 border border-line bg-quiet"
      >
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a block that scrolls must be reachable by keyboard. */}
        <pre tabIndex={0} className="m-0 overflow-x-auto p-3 font-mono text-13">
          {text}
        </pre>
        <div className="flex justify-end border-t border-line p-2">
          <CopyButton text={text} />
        </div>
      </div>
      <div className="max-w-64">
        <TextField label={t.kit.model} value={model} onChange={(event) => setModel(event.target.value)} />
      </div>
      {token === undefined && <p className="m-0 text-12 text-soft">{t.kit.tokenHidden}</p>}
    </div>
  )
}
