import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createStorage, storage as storagePlugin, storagePort } from 'tsforge/storage'
import type { Storage } from 'tsforge/storage'
import { disk } from 'tsforge/storage/disk'
import { s3 } from 'tsforge/storage/s3'
import { createFakeClock, createTestApp } from 'tsforge/testing'
import { startS3 } from 'tsforge/testing/s3-server'

/** A store whose links work over a real socket. */
export interface LinkedStore extends AsyncDisposable {
  readonly storage: Storage
  /** Links of the app are paths. */
  at(url: string): string
  /** Makes links that were signed for so long worthless. */
  expire(ms: number): Promise<void>
}

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** A folder whose links an app serves. `origin`: a page that may use them. */
export async function diskStore(origin: string): Promise<LinkedStore> {
  const path = mkdtempSync(join(tmpdir(), 'forge-links-'))
  const clock = createFakeClock(Date.now())
  const app = await createTestApp({
    features: [storagePlugin(disk({ path, clock }))],
    env: { FORGE_CORS_ORIGINS: origin },
    clock,
  })
  const address = await app.http.listen({ port: 0 })
  return {
    storage: app.get(storagePort),
    at: (url) => new URL(url, address).href,
    expire: (ms) => clock.advance(ms),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** A bucket of a real S3. */
export async function s3Store(origin: string): Promise<LinkedStore> {
  const server = await startS3()
  await server.createBucket('links', origin)
  const storage = createStorage(s3({ ...server, bucket: 'links' }))
  return {
    storage,
    at: (url) => url,
    // The server has a clock of its own.
    expire: (ms) => wait(ms + 1000),
    async [Symbol.asyncDispose]() {
      await storage.close()
      await server[Symbol.asyncDispose]()
    },
  }
}
