import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check } from '../layers.ts'
import { buildHouse } from './house.ts'
import type { House } from './house.ts'

const src = 'packages/tsforge/src'
const imports = (...specifiers: string[]): string => specifiers.map((specifier) => `import '${specifier}'\n`).join('')

/** Rule, file that breaks it, its text. */
const planted: readonly (readonly [rule: string, file: string, text: string])[] = [
  ['no-cycles', `${src}/kernel/cycle-a.ts`, imports('./cycle-b.ts')],
  ['kernel-alone', `${src}/kernel/wants-package.ts`, imports('typebox')],
  ['kernel-alone', `${src}/kernel/wants-http.ts`, imports('../http/wire.ts')],
  ['no-http-namespace', `${src}/http/wants-server.ts`, imports('node:http')],
  ['http-below-modules', `${src}/http/wants-primitive.ts`, imports('../primitives/cache/index.ts')],
  ['http-below-modules', `${src}/http/wants-pg.ts`, imports('pg')],
  ['primitives-below-features', `${src}/primitives/cache/wants-feature.ts`, imports('../../features/shop/index.ts')],
  [
    'primitives-below-features',
    `${src}/primitives/cache/wants-host-type.ts`,
    "import type { serve } from '../../host/serve.ts'\n\nexport type Serve = typeof serve\n",
  ],
  ['features-below-host', `${src}/features/shop/wants-host.ts`, imports('../../host/serve.ts')],
  ['http-only-in-plugin-and-routes', `${src}/features/shop/wants-http.ts`, imports('../../http/wire.ts')],
  ['http-only-in-plugin-and-routes', `${src}/primitives/cache/wants-fastify.ts`, imports('fastify')],
  ['primitives-no-neighbours-inside', `${src}/primitives/queue/wants-inside.ts`, imports('../cache/cache.ts')],
  [
    'features-no-neighbours-inside',
    `${src}/features/shop/wants-driver.ts`,
    imports('../../primitives/cache/drivers/memory.ts'),
  ],
  ['features-no-neighbours-inside', `${src}/features/stall/wants-inside.ts`, imports('../shop/plugin.ts')],
  ['drivers-only-their-contract', `${src}/primitives/cache/drivers/wants-facade.ts`, imports('../cache.ts')],
  ['drivers-only-their-contract', `${src}/primitives/cache/drivers/wants-sibling.ts`, imports('./memory.ts')],
  [
    'drivers-only-their-contract',
    `${src}/primitives/cache/drivers/wants-plugin.ts`,
    imports('../../../features/shop/plugin.ts'),
  ],
  ['peers-only-in-drivers', `${src}/features/shop/wants-pg.ts`, imports('pg')],
  ['host-below-cli', `${src}/host/wants-lab.ts`, imports('../testing/index.ts')],
  ['cli-imported-by-nobody', `${src}/host/wants-cli.ts`, imports('../cli/main.ts')],
  ['lab-imported-by-no-shipped-file', `${src}/primitives/cache/wants-contract.ts`, imports('./contract.ts')],
  ['framework-by-name', 'apps/shop/by-path.ts', imports('../../packages/tsforge/src/index.ts')],
  ['no-undeclared-packages', `${src}/host/wants-undeclared.ts`, imports('vitest')],
  ['no-unresolvable', `${src}/host/wants-nothing.ts`, imports('./nowhere.ts')],
]

describe('the one-way rule', () => {
  let house: House
  let faults: string[]
  beforeAll(async () => {
    const files = Object.fromEntries(planted.map(([, file, text]) => [file, text]))
    house = buildHouse({ ...files, [`${src}/kernel/cycle-b.ts`]: imports('./cycle-a.ts') })
    faults = await check(house.base)
  }, 240_000)
  afterAll(() => house.remove())

  it.each(planted)('%s: %s is reported', (rule, file) => {
    expect(faults.filter((fault) => fault.startsWith(`${rule}: ${file} →`))).not.toEqual([])
  })

  it('reports nothing else than what was planted', () => {
    const files = [...planted.map(([, file]) => file), `${src}/kernel/cycle-b.ts`]
    expect(faults.filter((fault) => !files.some((file) => fault.includes(`: ${file} →`)))).toEqual([])
  })
})

describe('a sound house', () => {
  it('has no fault', async () => {
    const house = buildHouse()
    try {
      expect(await check(house.base)).toEqual([])
    } finally {
      house.remove()
    }
  })

  it('is not believed when TypeScript files were not seen', async () => {
    const house = buildHouse()
    house.write(
      '.dependency-cruiser.cjs',
      "module.exports = { forbidden: [], options: { exclude: { path: '[.]ts$' } } }",
    )
    try {
      const faults = await check(house.base)
      expect(faults).toContain(`dependency-cruiser did not see ${src}/index.ts`)
    } finally {
      house.remove()
    }
  })
})
