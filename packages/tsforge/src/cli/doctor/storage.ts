import { randomBytes } from 'node:crypto'
import type { Storage } from '../../primitives/storage/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Stores a small object, reads it back and deletes it again. */
export async function examineStorage(storage: Storage): Promise<Finding> {
  const name = 'storage'
  const key = `forge-doctor/${randomBytes(8).toString('hex')}`
  const written = randomBytes(64)
  const began = performance.now()
  try {
    await storage.put(key, written, { contentType: 'application/octet-stream' })
    const read = await (await storage.get(key)).bytes()
    await storage.delete(key)
    if (!read.equals(written)) return broken(name, new Error('what was stored came back as something else'))
    if (await storage.exists(key)) return broken(name, new Error('an object is still there after its deletion'))
    return fine(name, `stored, read and deleted an object in ${(performance.now() - began).toFixed(0)} ms`)
  } catch (error) {
    await storage.delete(key).catch(() => undefined)
    const { cause } = error as { cause?: { message?: string } }
    const { fix = 'Look at S3_BUCKET, S3_ENDPOINT and the key, or at the rights on FORGE_STORAGE_PATH.' } = broken(
      name,
      error,
    )
    return { name, state: 'failed', detail: cause?.message ?? (error as Error).message, fix }
  }
}
