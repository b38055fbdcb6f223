import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { storageContract } from '../contract.ts'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'

const path = mkdtempSync(join(tmpdir(), 'forge-disk-'))
afterAll(() => rmSync(path, { recursive: true, force: true }))
storageContract({ name: 'disk', create: () => disk({ path: join(path, 'store') }) })

it('storing and deleting in one folder do not get into each other’s way', async () => {
  const storage = createStorage(disk({ path: join(path, 'busy') }))
  await Promise.all(
    Array.from({ length: 50 }, async (_, at) => {
      await storage.put(`d/e/f/${at}`, 'x')
      await storage.delete(`d/e/f/${at}`)
    }),
  )
  expect(await storage.list()).toEqual({ objects: [], folders: [], cursor: null })
})
