#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { run } from '#cli/run.ts'

// Once many objects of one allocation site have survived a collection, V8 allocates them in the old generation. These
// keep young garbage alive until the next full collection: in one start of two, collections took twice the time.
setFlagsFromString('--no-allocation-site-pretenuring')

process.exitCode = await run(process.argv.slice(2), process.env)
