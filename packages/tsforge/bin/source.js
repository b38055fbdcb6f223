// Makes `tsforge/...` mean the sources, for this process and for the processes that it starts.
// A worker thread inherits no hooks: give it `execArgv: ['--import', <this file>]`.
import { registerHooks } from 'node:module'

if (!process.execArgv.some((arg) => /^(?:--conditions=|-C=?)source$/.test(arg))) {
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier, { ...context, conditions: [...context.conditions, 'source'] }),
  })
}

const option = '--conditions=source'
const inherited = process.env.NODE_OPTIONS ?? ''
if (!inherited.split(/\s+/).includes(option)) process.env.NODE_OPTIONS = `${inherited} ${option}`.trim()
