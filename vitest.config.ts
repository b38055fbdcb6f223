import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

// Where a machine-readable report is wanted besides the printed one.
const report = process.env.FORGE_TEST_REPORT

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'apps/*/**/*.test.ts',
      'examples/**/*.test.ts',
      'tests/**/*.test.ts',
      'tools/**/*.test.ts',
      'bench/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'threads',
    // Tests wait for servers most of the time; vitest by itself would leave a processor free.
    maxWorkers: Math.max(2, availableParallelism()),
    // Ceilings for the worst machine; nothing waits for them.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
    globalSetup: ['packages/tsforge/src/testing/setup.ts'],
    ...(report === undefined ? {} : { reporters: ['default', 'json'], outputFile: { json: report } }),
  },
})
