import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The agents as they were seen, each at one version: another one may behave in another way. */
const npmPackages = {
  '@anthropic-ai/claude-code': '2.1.332',
  '@openai/codex': '0.171.0',
  'opencode-ai': '1.18.33',
  '@qwen-code/qwen-code': '0.24.4',
  '@continuedev/cli': '1.5.47',
} as const
/** Each in an environment of its own, since they want different versions of the same packages. */
const pipPackages = { 'aider-chat': '0.86.2', llm: '0.36' } as const

/** The folder of the Node that runs this: the machine's may be too old for an agent. */
export const nodeFolder = dirname(process.execPath)

/** Installs what is missing in a folder, from public registries. Answers where a program of one of them stands. */
export function installAgents(folder: string): (program: string) => string {
  mkdirSync(folder, { recursive: true })
  const npmFolder = join(folder, 'npm')
  if (!existsSync(join(npmFolder, 'node_modules'))) {
    mkdirSync(npmFolder, { recursive: true })
    const allowScripts = { '@anthropic-ai/claude-code': true, 'opencode-ai': true }
    writeFileSync(join(npmFolder, 'package.json'), JSON.stringify({ private: true, allowScripts }))
    const list = Object.entries(npmPackages).map(([name, version]) => `${name}@${version}`)
    run('npm', ['install', '--no-fund', '--no-audit', '--silent', ...list], npmFolder)
  }
  for (const [name, version] of Object.entries(pipPackages)) {
    const venv = join(folder, name)
    if (existsSync(venv)) continue
    run('python3', ['-m', 'venv', venv], folder)
    run(join(venv, 'bin', 'pip'), ['install', '--quiet', `${name}==${version}`], folder)
  }
  const places = [
    join(npmFolder, 'node_modules', '.bin'),
    ...Object.keys(pipPackages).map((name) => join(folder, name, 'bin')),
  ]
  return (program) => {
    const found = places.map((place) => join(place, program)).find((path) => existsSync(path))
    if (found === undefined) throw new Error(`${program} is not installed in ${folder}`)
    return found
  }
}

function run(program: string, args: readonly string[], cwd: string): void {
  const env = { ...process.env, PATH: `${nodeFolder}:${process.env.PATH ?? ''}` }
  execFileSync(program, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] })
}
