import { type Family, familyOf } from '#core/family.ts'
import { providers } from '#providers/all.ts'
import { withModel } from '#providers/model-path.ts'
import { createPathTest, type PassedRoute, standInOf } from '#providers/passed-route.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import type { ConfigFile } from './file.ts'
import { ConfigError } from './settings.ts'

/** Routes that the gateway serves itself cannot be listed, since that would bypass their rules. */
export function passThroughOf(
  { passThrough = [] }: ConfigFile,
  upstreams: readonly UpstreamConfig[],
  families: readonly Family[],
): readonly PassedRoute[] {
  const seen = new Set<string>()
  return passThrough.map(
    ({ provider, path, methods = ['POST'], model, upstream, runsModels = true }, index) => {
      const at = `passThrough[${index}]`
      if (!providers.some(({ name }) => name === provider)) {
        const names = providers.map(({ name }) => name).join(', ')
        throw new ConfigError(`${at}.provider`, `${JSON.stringify(provider)} must be one of ${names}`)
      }
      const taken = knownPaths().find((known) => isTaken(path, known))
      if (taken !== undefined)
        throw new ConfigError(
          `${at}.path`,
          taken === path
            ? `${path} is served already`
            : `${path} takes ${taken} as well, which is served already`,
        )
      if (seen.has(path))
        throw new ConfigError(`${at}.path`, `${path} is listed twice: put its methods into one entry`)
      seen.add(path)
      if (
        upstream !== undefined &&
        !upstreams.some((each) => each.name === upstream && each.provider === provider)
      )
        throw new ConfigError(`${at}.upstream`, `no upstream of ${provider} has the name ${upstream}`)
      for (const method of methods) {
        const standIn = standInOf({ model, path }, method)
        if (standIn !== undefined && familyOf(standIn, families) === undefined)
          throw new ConfigError(
            `${at}.model`,
            `no family takes ${standIn}: name a model of the family that the route counts to`,
          )
      }
      return { provider, path, methods, model, upstream, runsModels }
    },
  )
}

function knownPaths(): readonly string[] {
  return [
    ...providers.map(({ modelsPath }) => modelsPath),
    '/v1/usage',
    ...providers.flatMap(({ endpoints }) => endpoints.map(({ path }) => withModel(path, 'model'))),
  ]
}

/** A server may ignore letter case; a path below a list of models is one of its models. */
function isTaken(path: string, known: string): boolean {
  if (createPathTest(path.toLowerCase())(known)) return true
  if (!providers.some(({ modelsPath }) => modelsPath === known)) return false
  const below = path.toLowerCase().startsWith(`${known}/`) ? path.slice(known.length + 1) : ''
  return below !== '' && (!below.includes('/') || below.endsWith('*'))
}
