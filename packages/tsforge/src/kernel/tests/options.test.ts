import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDotenv } from '../dotenv.ts'
import { formatDuration, parseDuration } from '../durations.ts'
import { weakness } from '../secret.ts'
import { ConfigError, envExample, field, loadOptions, nearest, optionsTable } from '../options.ts'
import type { AnySchema, LoadSettings, OptionsSchema, Secret } from '../options.ts'

const strong = 'q8Zt4mVb1xLr7KpN2sWd9YcE5gHj3UaF'

function faultsOf(schema: AnySchema, settings: Partial<LoadSettings>): string[] {
  try {
    loadOptions({ shop: schema }, { env: {}, environment: 'development', ...settings })
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.faults.map(({ name, problem }) => `${name} ${problem}`)
  }
}

/** The value of one field when the environment says `raw`. */
function read<T>(make: (env: string) => unknown, raw: string): T | string {
  const schema = { it: make('FORGE_IT') } as unknown as AnySchema
  try {
    return loadOptions({ shop: schema }, { env: { FORGE_IT: raw }, environment: 'development' }).shop['it'] as T
  } catch (error) {
    return (error as ConfigError).faults[0]!.problem
  }
}

interface ShopOptions {
  readonly port: number
  readonly idleMs: number
  readonly origin: string | undefined
}
const shop: OptionsSchema<ShopOptions> = {
  port: field.port('PORT', { doc: 'Port.', default: 3000 }),
  idleMs: field.duration('FORGE_SHOP_IDLE', { doc: 'Idle.', default: '15m', min: '1s' }),
  origin: field.optional(field.url('FORGE_SHOP_ORIGIN', { doc: 'Origin.' })),
}

describe('where a value comes from', () => {
  const load = (settings: Partial<LoadSettings>) =>
    loadOptions({ shop }, { env: {}, environment: 'development', ...settings }).shop

  test('the environment beats .env, which beats the code, which beats the default', () => {
    const layers = { env: { PORT: '1' }, dotenv: 'PORT=2', values: { shop: { port: 3 } } }
    expect(load(layers).port).toBe(1)
    expect(load({ ...layers, env: {} }).port).toBe(2)
    expect(load({ values: { shop: { port: 3 } } }).port).toBe(3)
    expect(load({})).toEqual({ port: 3000, idleMs: 900_000, origin: undefined })
  })

  test.each([
    [{ port: 99_999 }, 'PORT must be 0 to 65535, not "99999"'],
    [{ port: 'eighty' }, 'PORT must be a whole number in plain digits, not "eighty"'],
    [{ port: {} }, 'PORT is set in code to something else than port'],
    [{ idleMs: 10 }, 'FORGE_SHOP_IDLE must be at least 1s, not "10ms"'],
    [{ idleMs: Number.NaN }, 'FORGE_SHOP_IDLE must be a duration such as 250ms, 30s, 15m, 1h30m or 7d, not "NaN"'],
    [{ idleMs: null }, 'FORGE_SHOP_IDLE is set in code to something else than duration'],
    [{ origin: 'ftp://example.com' }, 'FORGE_SHOP_ORIGIN must be a URL that starts with http:// or https://'],
  ])('the code meets the checks of the environment: %j', (values, fault) => {
    expect(faultsOf(shop, { values: { shop: values } })).toEqual([expect.stringContaining(fault)])
  })

  test('the code may write what the environment may, and plain values', () => {
    const load = (values: Readonly<Record<string, unknown>>) =>
      loadOptions({ shop: { ...shop, tags } }, { env: {}, environment: 'test', values: { shop: values } }).shop
    const tags = field.list('FORGE_SHOP_TAGS', { doc: 'Tags.', default: ['x'] })
    expect(load({ idleMs: '5m', tags: ['a', 'b'] })).toMatchObject({ idleMs: 300_000, tags: ['a', 'b'] })
    expect(load({ idleMs: 300_000, tags: [] })).toMatchObject({ idleMs: 300_000, tags: [] })
  })

  test('the default of a list is shown as one would write it', () => {
    const waits = field.list('FORGE_WAITS', {
      doc: '',
      default: [5000, 90_000],
      item: parseDuration,
      show: formatDuration,
    })
    expect(waits.defaultText).toBe('5s,1m30s')
    expect(waits.parse(waits.defaultText!)).toEqual(waits.defaultValue)
  })

  test('an empty or blank variable counts as unset', () => {
    expect(load({ env: { PORT: '' }, dotenv: { PORT: '2' } }).port).toBe(2)
    expect(load({ env: { PORT: ' ' }, dotenv: 'PORT=' }).port).toBe(3000)
  })
})

test('all faults are told at once: variable, what is wrong, what would be right', () => {
  const schema: AnySchema = { ...shop, name: field.string('FORGE_SHOP_NAME', { doc: 'Name of the shop.' }) }
  const env = { PORT: '80a', FORGE_SHOP_IDLE: '10ms', FORGE_SHOP_ORIGN: 'x' }
  expect(faultsOf(schema, { env, dotenv: 'nonsense', values: { shop: { prot: 1 } } })).toEqual([
    '.env:1 is not KEY=value',
    'shop.prot is no option; did you mean port?',
    'PORT must be a whole number in plain digits, not "80a"',
    'FORGE_SHOP_IDLE must be at least 1s, not "10ms"',
    'FORGE_SHOP_NAME is required (string): Name of the shop.',
    'FORGE_SHOP_ORIGN is no setting; did you mean FORGE_SHOP_ORIGIN?',
  ])
})

test('unknown FORGE_ variables are faults wherever they stand, without their value', () => {
  expect(faultsOf(shop, { env: { FORGE_TOTALLY_ELSE: strong, OTHER: 'x' } })).toEqual([
    'FORGE_TOTALLY_ELSE is no setting',
  ])
  expect(faultsOf(shop, { dotenv: 'FORGE_SHOP_IDEL=1m' })).toEqual([
    'FORGE_SHOP_IDEL is no setting; did you mean FORGE_SHOP_IDLE?',
  ])
  expect(faultsOf(shop, { env: { FORGE_DEBUG: '1' }, known: ['FORGE_DEBUG'] })).toEqual([])
  expect(nearest('x'.repeat(10_000), ['FORGE_A'])).toBeUndefined()
})

describe('texts are read strictly', () => {
  const integer = (env: string) => field.integer(env, { doc: '', min: -5, max: 9000 })
  test.each([
    [integer, ' 80 ', 80],
    [integer, '-5', -5],
    [(env: string) => field.number(env, { doc: '' }), '0.25', 0.25],
    [(env: string) => field.boolean(env, { doc: '' }), 'Yes', true],
    [(env: string) => field.boolean(env, { doc: '' }), '0', false],
    [(env: string) => field.bytes(env, { doc: '' }), '1mb', 1_048_576],
    [(env: string) => field.list(env, { doc: '' }), 'a, b', ['a', 'b']],
    [(env: string) => field.list(env, { doc: '', item: Number }), '1,2', [1, 2]],
    [(env: string) => field.oneOf(env, { doc: '', values: ['on', 'off'] }), 'on', 'on'],
    [(env: string) => field.url(env, { doc: '' }), 'https://a.example/x?y', 'https://a.example/x?y'],
  ])('%s accepts %j', (make, raw, value) => {
    expect(read(make, raw)).toEqual(value)
  })

  test.each([
    [integer, '0x10'],
    [integer, '1e3'],
    [integer, '080'],
    [integer, '1.0'],
    [integer, '+1'],
    [integer, '-0'],
    [integer, '٣'],
    [integer, '9001'],
    [integer, '99999999999999999999'],
    [(env: string) => field.number(env, { doc: '' }), 'Infinity'],
    [(env: string) => field.number(env, { doc: '' }), '1e3'],
    [(env: string) => field.port(env, { doc: '' }), '65536'],
    [(env: string) => field.boolean(env, { doc: '' }), 'constructor'],
    [(env: string) => field.duration(env, { doc: '' }), '30'],
    [(env: string) => field.list(env, { doc: '' }), 'a,,b'],
    [(env: string) => field.oneOf(env, { doc: '', values: ['on', 'off'] }), 'ON'],
    [(env: string) => field.url(env, { doc: '' }), 'example.com'],
    [(env: string) => field.url(env, { doc: '' }), 'javascript:alert(1)'],
    [(env: string) => field.url(env, { doc: '' }), 'https:example.com'],
  ])('%s refuses %j', (make, raw) => {
    expect(read(make, raw)).toMatch(/^must be .*, not /)
  })

  test('an integer is read back, or refused', () => {
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        (n) => Object.is(n, -0) || read((env) => field.integer(env, { doc: '' }), String(n)) === n,
      ),
    )
  })

  test('a default out of range is a mistake of the schema', () => {
    expect(() => field.integer('X', { doc: '', default: 1, min: 2 })).toThrow(/at least 2/)
  })
})

test('rules between settings see the values of the same module', () => {
  const ttl = {
    accessMs: field.duration('FORGE_A', { doc: '', default: '15m' }),
    refreshMs: field.duration('FORGE_B', {
      doc: '',
      default: '7d',
      check: (value, all) => (value <= (all['accessMs'] as number) ? 'must be longer than FORGE_A' : undefined),
    }),
  }
  expect(faultsOf(ttl, { env: { FORGE_B: '10m' } })).toEqual(['FORGE_B must be longer than FORGE_A'])
  const cors = {
    origins: field.list('FORGE_O', { doc: '', default: [] }),
    credentials: field.boolean('FORGE_C', {
      doc: '',
      default: false,
      production: (value, all) =>
        value && (all['origins'] as string[]).includes('*') ? 'cannot go with the origin *' : undefined,
    }),
  }
  expect(faultsOf(cors, { env: { FORGE_O: '*', FORGE_C: 'true' }, environment: 'production' })).toEqual([
    'FORGE_C cannot go with the origin *, which production refuses',
  ])
  expect(faultsOf(cors, { env: { FORGE_O: '*', FORGE_C: 'true' } })).toEqual([])
})

describe('secrets', () => {
  const schema = {
    key: field.secret('FORGE_KEY', { doc: 'Key.', example: 'Zk3qP8vT1nLw6RyB4mXs9HdC2gJf7UaE' }),
    url: field.optional(field.secretUrl('DATABASE_URL', { doc: 'Database.', protocols: ['postgres'] })),
  }
  const problemsOf = (env: Record<string, string>, settings: Partial<LoadSettings> = {}) =>
    faultsOf(schema, { env, environment: 'production', ...settings })

  test('are not printed by anything but reveal()', () => {
    const loaded = loadOptions(
      { shop: schema },
      { env: { FORGE_KEY: strong, DATABASE_URL: `postgres://u:${strong}@db/x` }, environment: 'production' },
    )
    const prints = [
      JSON.stringify(loaded),
      inspect(loaded, { depth: 9, showHidden: true }),
      `${String(loaded.shop.key)}`,
      JSON.stringify({ ...loaded.shop }),
      Object.values(loaded.shop.key).join(),
    ]
    expect(prints.join()).not.toContain(strong)
    expect(loaded.shop.key.reveal()).toBe(strong)
  })

  test('do not get into the error, whatever refuses them', () => {
    const chatty = {
      a: field.secret('A', { doc: '', check: (value: Secret) => `"${value.reveal()}" is bad` }),
      b: field.secretUrl('B', { doc: '' }),
      d: field.secretUrl('D', { doc: '' }),
      c: field.url('C', { doc: '', protocols: ['postgres'] }),
    }
    const env = { A: strong, B: `postgres://u:${strong}@h`, C: `redis://u:${strong}@h`, D: strong }
    const faults = faultsOf(chatty, { env })
    expect(faults).toHaveLength(4)
    expect(faults.join()).not.toContain(strong)
  })

  test('of a sample file, the docs or a default are refused in production alone', () => {
    const sample = 'Zk3qP8vT1nLw6RyB4mXs9HdC2gJf7UaE'
    expect(problemsOf({ FORGE_KEY: sample })[0]).toMatch(/placeholder from a sample file/)
    expect(problemsOf({ FORGE_KEY: strong }, { placeholders: [strong] })[0]).toMatch(/placeholder from a sample file/)
    expect(problemsOf({ FORGE_KEY: sample }, { environment: 'development' })).toEqual([])
    expect(problemsOf({ FORGE_KEY: strong })).toEqual([])
  })

  test.each([
    ['short', /needs at least 32/],
    ['a'.repeat(40), /single character/],
    ['abab'.repeat(10), /different characters/],
    ['abcdefgh12'.repeat(4), /repeats/],
    ['abcdefghijklmnopqrstuvwxyz0123456789', /run of/],
    ['change-me-to-something-long-please-1', /placeholder/],
    ['my-super-secret-jwt-key-for-production', /common words/],
    ['password-password1-password2-password3', /common words/],
  ])('%j is weak', (value, reason) => {
    expect(weakness(value)).toMatch(reason)
    expect(problemsOf({ FORGE_KEY: value })[0]).toMatch(reason)
  })

  test('made by a random generator are accepted', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 64 }), (bytes) => {
        if (new Set(bytes).size < 24) return true
        return (
          weakness(Buffer.from(bytes).toString('hex')) === undefined &&
          weakness(Buffer.from(bytes).toString('base64url')) === undefined
        )
      }),
    )
  })

  test('that somebody else issued may be short, but no placeholders', () => {
    const foreign = { password: field.secret('SMTP_PASSWORD', { doc: '', foreign: true }) }
    expect(faultsOf(foreign, { env: { SMTP_PASSWORD: 'k7#q' }, environment: 'production' })).toEqual([])
    expect(faultsOf(foreign, { env: { SMTP_PASSWORD: 'changeme' }, environment: 'production' })).toHaveLength(1)
  })

  test('may be absent in development only, when production requires them', () => {
    const needed = { key: field.optional(field.secret('FORGE_KEY', { doc: '' }), { requiredInProduction: true }) }
    expect(faultsOf(needed, {})).toEqual([])
    expect(faultsOf(needed, { environment: 'production' })).toEqual(['FORGE_KEY is required in production'])
  })
})

describe('generated texts', () => {
  const schema: AnySchema = {
    ...shop,
    key: field.secret('FORGE_KEY', { doc: 'A | B.', default: 'dev' }),
    greeting: field.string('GREETING', { doc: 'Hi.', example: 'hello # you' }),
  }

  test('the table of the docs', () => {
    expect(optionsTable(schema)).toBe(`| variable | type | default | meaning |
| --- | --- | --- | --- |
| \`PORT\` | port | \`3000\` | Port. |
| \`FORGE_SHOP_IDLE\` | duration | \`15m\` | Idle. |
| \`FORGE_SHOP_ORIGIN\` | url | - | Origin. |
| \`FORGE_KEY\` | secret | - | A \\| B. |
| \`GREETING\` | string | required | Hi. |
`)
  })

  test('.env.example, which reads back as the examples', () => {
    const text = envExample({ shop: schema, again: shop })
    expect(text).toContain('# Idle.\n# FORGE_SHOP_IDLE=15m\n')
    expect(text.match(/PORT=/g)).toHaveLength(1)
    expect(parseDotenv(text)).toEqual({ values: { GREETING: 'hello # you' }, faults: [] })
  })
})
