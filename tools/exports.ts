/**
 * The package's `exports` map follows from its folders, so that path, specifier and name are one thing:
 * `tsforge/cache/redis` is `primitives/cache/drivers/redis.ts`. `--check` reports, without it the map is written.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { filesIn, read, root, runAsTool, stale, write } from './workspace.ts'
import type { Generated } from './workspace.ts'

const packageFile = 'packages/tsforge/package.json'

/** Files that are doors by decision and not by place. */
const doors: Readonly<Record<string, string>> = {
  'index.ts': '.',
  'http/index.ts': './http',
  'http/schema.ts': './schema',
  'testing/index.ts': './testing',
  'testing/contracts.ts': './testing/contracts',
  'testing/nats-server.ts': './testing/nats-server',
  'testing/rabbitmq-server.ts': './testing/rabbitmq-server',
  'testing/redis-server.ts': './testing/redis-server',
  'testing/s3-server.ts': './testing/s3-server',
  'testing/smtp-server.ts': './testing/smtp-server',
  'testing/setup.ts': './testing/setup',
  'testing/tcp-proxy.ts': './testing/tcp-proxy',
  'primitives/db/drizzle.ts': './db/drizzle',
  'primitives/db/kysely.ts': './db/kysely',
}

/** The specifier of a source file (relative to `src`), or `undefined` for a file that is nobody's door. */
export function specifierOf(file: string): string | undefined {
  if (Object.hasOwn(doors, file)) return doors[file]
  const kernel = /^kernel\/([a-z0-9-]+)(?:\/index)?\.ts$/.exec(file)
  if (kernel !== null) return `./${kernel[1]}`
  const module =
    /^(?:primitives|features)\/((?:[a-z0-9-]+\/)*?[a-z0-9-]+)\/(?:index|drivers\/([a-z0-9-]+)(?:\/index)?)\.ts$/.exec(
      file,
    )
  if (module === null || /(?:^|\/)(?:tests|drivers|migrations)(?:\/|$)/.test(module[1]!)) return undefined
  return module[2] === undefined ? `./${module[1]}` : `./${module[1]}/${module[2]}`
}

/** The whole map for the tree at `base`. Throws when two files claim one specifier. */
export function exportsMap(base: string): Record<string, unknown> {
  const owners = new Map<string, string>()
  for (const file of filesIn(join(base, 'packages/tsforge/src'))) {
    const specifier = specifierOf(file)
    if (specifier === undefined) continue
    const other = owners.get(specifier)
    if (other !== undefined) throw new Error(`${other} and ${file} both claim tsforge/${specifier.slice(2)}`)
    owners.set(specifier, file)
  }
  const sorted = [...owners].sort(([a], [b]) => (a < b ? -1 : 1))
  const map: Record<string, unknown> = {}
  for (const [specifier, file] of sorted) {
    const built = `./dist/${file.replace(/\.ts$/, '')}`
    map[specifier] = { source: `./src/${file}`, types: `${built}.d.ts`, default: `${built}.js` }
  }
  map['./package.json'] = './package.json'
  return map
}

function generate(base: string): Generated[] {
  const manifest = JSON.parse(read(join(base, packageFile)) ?? '{}') as Record<string, unknown>
  return [{ path: packageFile, text: `${JSON.stringify({ ...manifest, exports: exportsMap(base) }, null, 2)}\n` }]
}

/** Faults of the exports map in the tree at `base`. */
export function check(base: string): string[] {
  try {
    return existsSync(join(base, packageFile))
      ? stale(base, generate(base), 'node tools/exports.ts')
      : [`${packageFile} is missing`]
  } catch (error) {
    return [(error as Error).message]
  }
}

if (process.argv[1] === import.meta.filename && !process.argv.includes('--check'))
  console.log(write(root, generate(root)).join('\n') || 'up to date')
else await runAsTool(import.meta, check)
