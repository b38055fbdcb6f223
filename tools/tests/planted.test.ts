import { describe, expect, it } from 'vitest'
import { check as anatomy } from '../anatomy.ts'
import { checks } from '../checks.ts'
import { check as docs } from '../docs-examples.ts'
import { faultsOf } from '../error-catalogue.ts'
import { check as exportsCheck, specifierOf } from '../exports.ts'
import { check as options } from '../options-docs.ts'
import type { Check } from '../workspace.ts'
import { buildHouse } from './house.ts'

const src = 'packages/tsforge/src'
const cache = `${src}/primitives/cache`

/** What `check` says about the sound house with `planted` files in it. */
async function faultsWith(check: Check, planted: Readonly<Record<string, string>>): Promise<string> {
  const house = buildHouse(planted)
  try {
    return (await check(house.base)).join('\n')
  } finally {
    house.remove()
  }
}

describe('anatomy', () => {
  it('finds nothing in a sound house', async () => {
    expect(await faultsWith(anatomy, {})).toBe('')
  })

  const lines = (count: number): string => 'const a = 1\n'.repeat(count)
  it.each([
    [
      'a module without parts',
      { [`${src}/primitives/queue/plugin.ts`]: '' },
      ['README.md is missing', 'index.ts is missing', 'errors.ts is missing', 'tests/ has no test'],
    ],
    [
      'a README without its sections',
      { [`${cache}/README.md`]: '# cache\n' },
      ['no section "## Example"', 'no section "## Drivers"', 'no section "## When it breaks"'],
    ],
    [
      'a long example',
      { [`${cache}/README.md`]: `## Example\n\n\`\`\`ts\n${lines(11)}\`\`\`\n` },
      ['the example has 11 lines'],
    ],
    [
      'code in index.ts',
      { [`${cache}/index.ts`]: "export { cache } from './cache.ts'\nexport const answer = 42\n" },
      ['index.ts holds more than exports'],
    ],
    [
      'a long index.ts',
      { [`${cache}/index.ts`]: "export { cache } from './cache.ts'\n".repeat(31) },
      ['index.ts has 31 lines'],
    ],
    [
      'options outside of options.ts',
      { [`${cache}/cache.ts`]: 'const a: OptionsSchema<A> = {}\n' },
      ['they belong in options.ts'],
    ],
    ['a stranger folder', { [`${cache}/legacy/a.ts`]: '' }, ['legacy/ is a stranger']],
    ['a stranger file', { [`${cache}/notes.txt`]: '' }, ['notes.txt is a stranger']],
    ['a driver without its exam', { [`${cache}/drivers/disk.ts`]: '' }, ['driver disk does not run the contract']],
    ['a banned name', { [`${src}/kernel/string-utils.ts`]: '' }, ['string-utils.ts: the name says nothing']],
    ['a name in camelCase', { [`${src}/kernel/stringWords.ts`]: '' }, ['stringWords.ts: file names are kebab-case']],
    ['a long file', { [`${src}/kernel/engine.ts`]: lines(401) }, ['401 lines, the ceiling is 400']],
    [
      'a migration without its way back',
      { [`${cache}/migrations/0002_more.up.sql`]: '' },
      ['0002_more.up.sql has no counterpart'],
    ],
    [
      'a gap in the migrations',
      { [`${cache}/migrations/0003_a.up.sql`]: '', [`${cache}/migrations/0003_a.down.sql`]: '' },
      ['should have number 0002'],
    ],
    [
      'a test that does not run',
      { [`${cache}/tests/a.test.ts`]: ['it', "skip('a', f)\n"].join('.') },
      ['every test runs'],
    ],
    [
      'a focused test',
      {
        'apps/shop/a.test.ts': ['describe', 'each([])', "only('a', f)\n"].join('.') + ['it', "only('b', f)"].join('.'),
      },
      ['every test runs'],
    ],
    ['a test outside of tests/', { [`${cache}/cache.test.ts`]: '' }, ['tests lie in the module']],
  ])('reports %s', async (_, planted, expected) => {
    const faults = await faultsWith(anatomy, planted as unknown as Record<string, string>)
    for (const fault of expected) expect(faults).toContain(fault)
  })
})

describe('exports', () => {
  it('derives the specifier from the place', () => {
    expect(
      ['index.ts', 'kernel/clock.ts', 'http/index.ts', 'http/schema.ts', 'http/pipeline.ts'].map(specifierOf),
    ).toEqual(['.', './clock', './http', './schema', undefined])
    expect(specifierOf('primitives/cache/index.ts')).toBe('./cache')
    expect(specifierOf('primitives/cache/drivers/redis.ts')).toBe('./cache/redis')
    expect(specifierOf('features/authn/totp/index.ts')).toBe('./authn/totp')
    expect(specifierOf('primitives/cache/cache.ts')).toBeUndefined()
    expect(specifierOf('primitives/cache/tests/index.ts')).toBeUndefined()
  })

  it('reports a map that no longer fits the folders', async () => {
    const manifest = JSON.stringify({ name: 'tsforge', exports: { '.': './src/index.ts' } })
    expect(await faultsWith(exportsCheck, { 'packages/tsforge/package.json': manifest })).toContain(
      'package.json is stale',
    )
  })

  it('reports two files that claim one specifier', async () => {
    expect(
      await faultsWith(exportsCheck, {
        [`${src}/kernel/cache.ts`]: '',
        'packages/tsforge/package.json': '{"exports":{}}',
      }),
    ).toContain('both claim tsforge/cache')
  })
})

describe('error catalogues', () => {
  const entry = {
    code: 'cache.full',
    file: 'primitives/cache/errors.ts',
    status: 503,
    message: { en: 'Full: {size}.', id: 'Penuh: {size}.' },
    fix: 'Wait.',
  }
  it.each([
    ['nothing in a sound entry', [entry], []],
    ['a code declared twice', [entry, entry], ['declared twice']],
    ['a foreign prefix', [{ ...entry, code: 'mail.full' }], ['begins with none of: cache']],
    ['a missing fix', [{ ...entry, fix: ' ' }], ['has no fix']],
    ['a missing translation', [{ ...entry, message: 'Full.' }], ['no Indonesian sentence']],
    ['a copied translation', [{ ...entry, message: { en: 'Full.', id: 'Full.' } }], ['same sentence in both']],
    [
      'placeholders that differ',
      [{ ...entry, message: { en: 'Full: {size}.', id: 'Penuh: {ukuran}.' } }],
      ['other placeholders in id'],
    ],
  ])('report %s', (_, entries, expected) => {
    const faults = faultsOf(entries)
    expect(faults).toHaveLength(expected.length)
    expected.forEach((fault, index) => expect(faults[index]).toContain(fault))
  })
})

describe('options', () => {
  it('reports a variable out of the rule, without a sentence, and a default that is shown as nobody may write it', async () => {
    const parse = "parse(raw) { if (raw === '5000') throw new Error('must be a duration') }"
    const schema = `export const a = { b: { env: 'forgeB', doc: ' ', ${parse} }, c: { env: 'C', doc: 'C.', defaultText: '5000', ${parse} } }`
    const faults = await faultsWith(options, {
      [`${src}/kernel/option-docs.ts`]: "export const optionsTable = () => ''\nexport const envExample = () => ''\n",
      [`${cache}/options.ts`]: schema,
    })
    expect(faults).toContain("cache: forgeB is not an environment variable's name")
    expect(faults).toContain('cache: forgeB has no documentation')
    expect(faults).toContain('cache: the default of C is shown as 5000, which is refused')
  })
})

describe('documentation', () => {
  it('reports code that does not compile, at its line', async () => {
    expect(await faultsWith(docs, { 'docs/start.md': '# Start\n\n```ts\nconst a: string = 1\n```\n' })).toMatch(
      /docs\/start\.md:3: .*TS2322/,
    )
  })
  it('puts the setup in front of the example that follows it', async () => {
    const page = (setup: string): string => `# Start\n\n${setup}\`\`\`ts check\nconst b: number = a\n\`\`\`\n`
    expect(await faultsWith(docs, { 'docs/start.md': page('<!-- setup\nconst a = 1\n-->\n') })).toBe('')
    expect(await faultsWith(docs, { 'docs/start.md': page('') })).toContain('docs/start.md:3')
  })
  it('reports scripts that do not exist', async () => {
    expect(await faultsWith(docs, { 'docs/start.md': '```sh\nnpm ci && npm run fly\n```\n' })).toContain(
      'docs/start.md:1: there is no npm script "fly"',
    )
  })
  it('reports blocks that nobody would check', async () => {
    expect(await faultsWith(docs, { 'docs/start.md': '```js\n1\n```\n' })).toContain('docs/start.md:1')
  })
})

describe('types, lint, format and unused code', () => {
  const house = (text: string): Record<string, string> => ({ [`${src}/kernel/planted.ts`]: text })
  it.each([
    ['an export without its type', 'export const a = Math.random()\n', 'TS9010'],
    ['an enum', 'export enum A {\n  B,\n}\n', 'TS1294'],
    ['an unchecked index', 'const a: string[] = []\nexport const b: string = a[0]\n', 'TS2322'],
  ])('the compiler reports %s', async (_, text, expected) => {
    expect(await faultsWith(checks['types:framework']!, house(text))).toContain(expected)
  })

  it('the linter reports what must not be written', async () => {
    const text = [
      'async function work(): Promise<void> {}',
      'export function all(list: number[]): void {',
      '  work()',
      '  list.forEach(async () => work())',
      '}',
      'export const loose: any = 1',
      'export async function wait(): Promise<number> {',
      '  return await 1',
      '}',
      'export default work',
    ].join('\n')
    const faults = await faultsWith(checks['lint']!, house(`${text}\n`))
    for (const rule of [
      'no-floating-promises',
      'no-misused-promises',
      'no-explicit-any',
      'await-thenable',
      'no-default-export',
    ])
      expect(faults).toContain(rule)
  })

  it('the formatter reports a foreign style', async () => {
    expect(await faultsWith(checks['format']!, house('export const a: string = "b";\n'))).toContain('kernel/planted.ts')
  })
})
