import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AppConfig } from './config.ts'
import { hostErrors } from './errors.ts'

const names = ['forge.config.ts', 'forge.config.mts', 'forge.config.js', 'forge.config.mjs']

/** Imports the config in `root`. Throws `boot.config` when there is none, or it exports something else. */
export async function loadConfig(root: string): Promise<AppConfig> {
  const file = names.map((name) => join(root, name)).find((path) => existsSync(path))
  if (file === undefined)
    throw fault(`There is no forge.config.ts in ${root}; run forge in the app's folder or name it with --cwd.`)
  const module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
  const config = module.default as Partial<AppConfig> | null | undefined
  if (
    typeof config !== 'object' ||
    config === null ||
    typeof config.name !== 'string' ||
    !Array.isArray(config.features)
  ) {
    throw fault(`${file} must have \`export default defineConfig({ name, features })\`.`)
  }
  return config as AppConfig
}

function fault(reason: string): Error {
  return hostErrors.error('boot.config', { meta: { reason } })
}
