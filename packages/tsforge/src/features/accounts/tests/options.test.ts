import { expect, test } from 'vitest'
import { loadOptions } from '../../../kernel/options.ts'
import { accountsOptions } from '../options.ts'

const load = (
  env: Record<string, string>,
  environment: 'development' | 'test' | 'production' = 'development',
): unknown => loadOptions({ accounts: accountsOptions }, { env, environment })

test('the defaults are fit for production', () => {
  expect(load({}, 'production')).toMatchObject({
    accounts: {
      hashMemoryBytes: 64 * 1024 * 1024,
      hashPasses: 3,
      hashLanes: 2,
      hashInsecure: false,
      accessTtlMs: 900_000,
    },
  })
})

test('weak hashes are refused everywhere but where the test option stands, and that in production never', () => {
  const weak = { FORGE_ACCOUNTS_HASH_MEMORY: '18mb', FORGE_ACCOUNTS_HASH_PASSES: '1' }
  expect(() => load(weak)).toThrow(
    /FORGE_ACCOUNTS_HASH_MEMORY must be at least 19mb[\s\S]*FORGE_ACCOUNTS_HASH_PASSES must be at least 2/,
  )
  expect(load({ ...weak, FORGE_ACCOUNTS_HASH_INSECURE: 'true' }, 'test')).toMatchObject({ accounts: { hashPasses: 1 } })
  expect(() => load({ FORGE_ACCOUNTS_HASH_INSECURE: 'true' }, 'production')).toThrow(/FORGE_ACCOUNTS_HASH_INSECURE/)
})
