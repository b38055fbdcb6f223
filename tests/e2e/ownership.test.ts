import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkout } from './checkout.ts'
import { login, register, someone } from './people.ts'
import { launch } from './product.ts'
import type { LaunchOptions } from './product.ts'

/** Starts, registers somebody, is killed, starts again and knows them. */
async function survives(options: LaunchOptions): Promise<void> {
  const email = someone()
  {
    await using product = await launch(options)
    expect((await register(product, email)).status).toBe(201)
  }
  await using again = await launch(options)
  expect((await login(again, email)).status).toBe(200)
  expect(statSync(join(options.root, '.forge/secret')).mode & 0o777).toBe(0o600)
}

const isRoot = process.getuid?.() === 0

describe('the embedded database', () => {
  it('runs in a folder that nobody else may enter, for whoever runs this (root included)', async () => {
    await using clone = checkout({ mode: 0o700 })
    await survives(clone)
  })

  // Root becomes somebody without a name or a home; anybody else is such a user already.
  it('runs for an ordinary user', async () => {
    const uid = isRoot ? 54_321 : (process.getuid?.() as number)
    await using clone = checkout({ mode: 0o755, ...(isRoot && { owner: uid, unlinked: true }) })
    const wrapper = isRoot ? ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'] : []
    await survives({ ...clone, wrapper })
    expect(statSync(join(clone.root, '.forge')).uid).toBe(uid)
    // The package belongs to root and lacks links: it was completed in a copy.
    if (isRoot) expect(readdirSync(join(clone.root, '.forge/postgres/cache'))).toHaveLength(1)
  })
})
