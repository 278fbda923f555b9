/**
 * What each folder of `src` may import: other folders, and packages. `node:` modules are free to all, except for the pure
 * folders of the architecture test.
 */
export const importTable: Readonly<
  Record<string, { readonly folders: readonly string[]; readonly packages: readonly string[] }>
> = {
  lib: { folders: [], packages: [] },
  core: { folders: ['lib'], packages: [] },
  storage: { folders: ['core', 'lib'], packages: ['kysely', 'pg'] },
  providers: { folders: ['core', 'lib'], packages: [] },
  http: { folders: ['core', 'lib'], packages: ['pino'] },
  metering: { folders: ['storage', 'core', 'lib'], packages: [] },
  upstreams: { folders: ['providers', 'core', 'lib'], packages: ['undici'] },
  gateway: { folders: ['http', 'metering', 'providers', 'upstreams', 'core', 'lib'], packages: ['jose'] },
  admin: {
    folders: ['http', 'metering', 'storage', 'core', 'lib'],
    packages: [
      'hono',
      '@hono/node-server',
      '@hono/zod-openapi',
      'csv-parse',
      'csv-stringify',
      'otplib',
      'openid-client',
    ],
  },
  account: { folders: ['http', 'metering', 'storage', 'core', 'lib'], packages: [] },
  verifier: { folders: ['http', 'metering', 'storage', 'core', 'lib'], packages: ['zod'] },
  config: { folders: ['upstreams', 'providers', 'storage', 'core', 'lib'], packages: ['yaml', 'zod'] },
  // The composition root and the commands may import any of our folders.
  '': { folders: ['*'], packages: [] },
  server: { folders: ['*'], packages: [] },
  cli: { folders: ['*'], packages: [] },
}
