import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { disk } from '../../primitives/storage/drivers/disk.ts'
import { memory } from '../../primitives/storage/drivers/memory.ts'
import { s3 } from '../../primitives/storage/drivers/s3.ts'
import { createStorage } from '../../primitives/storage/index.ts'
import { examineStorage } from '../doctor/storage.ts'

describe('forge doctor on the storage', () => {
  it('stores, reads and deletes, and leaves nothing', async () => {
    const storage = createStorage(memory())
    expect(await examineStorage(storage)).toMatchObject({ name: 'storage', state: 'ok' })
    expect((await storage.list()).objects).toEqual([])
  })

  it('says what is wrong with a folder that cannot be one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'forge-doctor-'))
    writeFileSync(join(folder, 'file'), '')
    expect(await examineStorage(createStorage(disk({ path: join(folder, 'file') })))).toMatchObject({
      state: 'failed',
      detail: expect.stringMatching(/EEXIST|ENOTDIR/),
    })
    rmSync(folder, { recursive: true })
  })

  it('says when no store answers', { timeout: 30_000 }, async () => {
    const storage = createStorage(
      s3({
        bucket: 'b',
        endpoint: 'http://127.0.0.1:1',
        pathStyle: true,
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      }),
    )
    expect(await examineStorage(storage)).toMatchObject({
      state: 'failed',
      detail: expect.stringContaining('ECONNREFUSED'),
    })
    await storage.close()
  })
})
