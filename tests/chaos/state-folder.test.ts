import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { checkout } from '../e2e/checkout.ts'
import { arena } from './arena.ts'
import { bare } from './process.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

describe('a state folder that cannot be used', () => {
  it('because it must not be written to is told in a sentence, with exit code 1', async () => {
    const isRoot = process.getuid?.() === 0
    await using clone = checkout({ mode: 0o755, ...(isRoot && { owner: 1000 }) })
    const { root, node, forge } = clone
    mkdirSync(join(root, '.forge'), { recursive: true })
    chmodSync(join(root, '.forge'), 0o555)
    await using app = bare(root, {
      node,
      forge,
      wrapper: isRoot ? ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'] : [],
    })
    expect(await app.exited, app.output()).toEqual({ code: 1, signal: null })
    expect(app.output()).toContain('.forge')
    expect(app.output()).not.toMatch(/^\s+at /m)
    chmodSync(join(root, '.forge'), 0o755)
  })

  it('because it is a file is told in a sentence, with exit code 1', async () => {
    await using folder = arena()
    writeFileSync(join(folder.root, '.forge'), '')
    await using app = bare(folder.root)
    expect(await app.exited, app.output()).toEqual({ code: 1, signal: null })
    expect(app.output()).toContain('.forge')
    expect(app.output()).not.toMatch(/^\s+at /m)
  })

  it('because another major version wrote it is told with both versions, with exit code 1', async () => {
    await using folder = arena()
    const data = join(folder.root, '.forge/postgres/data')
    mkdirSync(data, { recursive: true, mode: 0o700 })
    writeFileSync(join(data, 'PG_VERSION'), '12\n')
    await using app = bare(folder.root)
    expect(await app.exited, app.output()).toEqual({ code: 1, signal: null })
    expect(app.output()).toMatch(/written by PostgreSQL 12, but the installed binaries are \d+/)
    expect(app.output()).not.toMatch(/^\s+at /m)
  })
})
