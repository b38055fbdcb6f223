import { realpathSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Runs the CLI: the built one when installed, the sources in a checkout (where the package is a symlink). */
export async function launch() {
  enableCompileCache()
  const installed = realpathSync(fileURLToPath(import.meta.url))
    .split(sep)
    .includes('node_modules')
  if (!installed) await import('./source.js')
  // Node strips no types below node_modules, and a checkout may have no `dist`.
  const { main } = await import(installed ? '../dist/cli/main.js' : '../src/cli/main.ts')
  await main(process.argv.slice(2))
  // Node itself writes it at the end of the process, which kill -9 takes away: the next start would compile it all again.
  flushCompileCache()
}
