import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { exportsMap } from '../exports.ts'
import { root } from '../workspace.ts'

type Files = Readonly<Record<string, string>>

const src = 'packages/tsforge/src'
const readme =
  '# cache\n\n## What\n\nA cache.\n\n## Example\n\n```ts check\nconst a = 1\n```\n\n## Drivers\n\nmemory\n\n## When it breaks\n\nIt does not.\n'

/** A small sound house: every rule holds in it. */
const sound: Files = {
  'package.json': JSON.stringify({
    name: 'house',
    private: true,
    type: 'module',
    workspaces: ['packages/*', 'apps/*'],
    scripts: { start: 'true' },
  }),
  'packages/tsforge/package.json': JSON.stringify({
    name: 'tsforge',
    version: '0.0.0',
    type: 'module',
    dependencies: { fastify: '*', typebox: '*', pg: '*' },
  }),
  'apps/shop/package.json': JSON.stringify({
    name: 'shop',
    version: '0.0.0',
    type: 'module',
    private: true,
    dependencies: { tsforge: '0.0.0' },
  }),
  'apps/shop/app.ts': "import { a } from 'tsforge/words'\n\nconsole.log(a)\n",
  [`${src}/index.ts`]: "export { serve } from './host/serve.ts'\n",
  [`${src}/kernel/words.ts`]: "import { sep } from 'node:path'\n\nexport const a: string = sep\n",
  [`${src}/http/index.ts`]: "export { wire } from './wire.ts'\n",
  [`${src}/http/wire.ts`]:
    "import { fastify } from 'fastify'\nimport { a } from '../kernel/words.ts'\n\nexport const wire: unknown[] = [fastify, a]\n",
  [`${src}/primitives/cache/README.md`]: readme,
  [`${src}/primitives/cache/index.ts`]: "export { cache } from './cache.ts'\n",
  [`${src}/primitives/cache/cache.ts`]:
    "import type { Driver } from './driver.ts'\n\nexport function cache(driver: Driver): Driver {\n  return driver\n}\n",
  [`${src}/primitives/cache/driver.ts`]: 'export interface Driver {\n  readonly name: string\n}\n',
  [`${src}/primitives/cache/errors.ts`]: 'export const cacheErrors: unknown = undefined\n',
  [`${src}/primitives/cache/contract.ts`]:
    "import type { Driver } from './driver.ts'\n\nexport function cacheContract(driver: Driver): void {\n  if (driver.name === '') throw new Error('nameless')\n}\n",
  [`${src}/primitives/cache/drivers/memory.ts`]:
    "import { a } from '../../../kernel/words.ts'\nimport type { Driver } from '../driver.ts'\n\nexport const memory: Driver = { name: a }\n",
  [`${src}/primitives/cache/migrations/0001_first.up.sql`]: 'select 1;\n',
  [`${src}/primitives/cache/migrations/0001_first.down.sql`]: 'select 1;\n',
  [`${src}/primitives/cache/tests/memory.test.ts`]:
    "import { cacheContract } from '../contract.ts'\nimport { memory } from '../drivers/memory.ts'\n\ncacheContract(memory)\n",
  [`${src}/features/shop/README.md`]: readme,
  [`${src}/features/shop/index.ts`]: "export { shop } from './plugin.ts'\n",
  [`${src}/features/shop/errors.ts`]: 'export const shopErrors: unknown = undefined\n',
  [`${src}/features/shop/plugin.ts`]:
    "import { wire } from '../../http/wire.ts'\nimport { cache } from '../../primitives/cache/index.ts'\n\nexport const shop: unknown[] = [wire, cache]\n",
  [`${src}/features/shop/tests/shop.test.ts`]: "import { shop } from '../plugin.ts'\n\nconsole.log(shop)\n",
  [`${src}/host/serve.ts`]: "import { shop } from '../features/shop/index.ts'\n\nexport const serve: unknown = shop\n",
  [`${src}/cli/main.ts`]: "import { serve } from '../host/serve.ts'\n\nexport const main: unknown = serve\n",
  [`${src}/testing/index.ts`]: "export { cacheContract } from '../primitives/cache/contract.ts'\n",
}

const configs = [
  '.dependency-cruiser.cjs',
  '.oxlintrc.json',
  '.oxfmtrc.json',
  'tsconfig.json',
  'tsconfig.base.json',
  'packages/tsforge/tsconfig.json',
]

export interface House {
  readonly base: string
  write(path: string, text: string): void
  remove(): void
}

/** Builds the sound house with `planted` files added or replaced, under this repository's own configuration. */
export function buildHouse(planted: Files = {}): House {
  const base = mkdtempSync(join(tmpdir(), 'tsforge-house-'))
  for (const [path, text] of Object.entries({ ...sound, ...planted })) {
    mkdirSync(dirname(join(base, path)), { recursive: true })
    writeFileSync(join(base, path), text)
  }
  for (const config of configs) cpSync(join(root, config), join(base, config))
  // A node_modules of its own: packages are links, so that caches and the house's own package stay here.
  mkdirSync(join(base, 'node_modules'))
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== 'tsforge' && !name.startsWith('.'))
      symlinkSync(join(root, 'node_modules', name), join(base, 'node_modules', name))
  }
  symlinkSync(join(base, 'packages/tsforge'), join(base, 'node_modules/tsforge'))
  const manifest = JSON.parse({ ...sound, ...planted }['packages/tsforge/package.json']!) as Record<string, unknown>
  if (manifest['exports'] === undefined) {
    writeFileSync(
      join(base, 'packages/tsforge/package.json'),
      `${JSON.stringify({ ...manifest, exports: exportsMap(base) }, null, 2)}\n`,
    )
  }
  return {
    base,
    write: (path, text) => writeFileSync(join(base, path), text),
    remove: () => rmSync(base, { recursive: true, force: true }),
  }
}
