import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBytes } from '../../../kernel/durations.ts'
import { hasS3, startS3 } from '../../../testing/s3-server.ts'
import type { S3Server } from '../../../testing/s3-server.ts'

const run = promisify(execFile)
const mebibyte = 2 ** 20
/** All of a gigabyte with FORGE_TEST_LARGE=1gb. */
const size = parseBytes(process.env['FORGE_TEST_LARGE'] ?? '256mb')

/** In a process of its own, whose memory nothing else uses. Returns by how much it grew at most. */
async function growth(kind: 'disk' | 's3', settings: object): Promise<number> {
  const worker = fileURLToPath(new URL('./large-worker.ts', import.meta.url))
  const args = ['--conditions=source', worker, kind, JSON.stringify(settings), String(size)]
  const { stdout } = await run(process.execPath, args)
  const { stored, read, grownBytes } = JSON.parse(stdout) as Record<'stored' | 'read' | 'grownBytes', number>
  expect([stored, read]).toEqual([size, size])
  return grownBytes
}

describe('an object of many times the memory', () => {
  it('goes to a disk and back with less than 64 MB more', { timeout: 300_000 }, async () => {
    const path = mkdtempSync(join(tmpdir(), 'forge-large-'))
    try {
      expect(await growth('disk', { path })).toBeLessThan(64 * mebibyte)
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })

  describe.runIf(hasS3)('over S3', () => {
    let server: S3Server
    beforeAll(async () => {
      server = await startS3()
      await server.createBucket('large')
    })
    afterAll(() => server[Symbol.asyncDispose]())

    it('goes up in parts and back with less than 64 MB more', { timeout: 300_000 }, async () => {
      expect(await growth('s3', { ...server, bucket: 'large' })).toBeLessThan(64 * mebibyte)
    })
  })
})
