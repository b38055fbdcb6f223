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

const states = [
  { state: 'cold', title: 'in a process that has loaded nothing yet, dead bytes apart' },
  { state: 'warm', title: 'in a process that has streamed before' },
] as const

type State = (typeof states)[number]['state']

/** In a process of its own, whose memory nothing else uses. */
async function expectFlat(kind: 'disk' | 's3', settings: object, state: State): Promise<void> {
  const worker = fileURLToPath(new URL('./large-worker.ts', import.meta.url))
  const args = ['--expose-gc', '--conditions=source', worker, kind, JSON.stringify(settings), String(size), state]
  const { stdout } = await run(process.execPath, args)
  const { up, down } = JSON.parse(stdout) as Record<'up' | 'down', Record<'length' | 'grownBytes', number>>
  expect([up.length, down.length]).toEqual([size, size])
  expect(up.grownBytes).toBeLessThan(64 * mebibyte)
  expect(down.grownBytes).toBeLessThan(64 * mebibyte)
}

let server: S3Server | undefined
beforeAll(async () => {
  if (!hasS3) return
  server = await startS3()
  await server.createBucket('large')
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe.each(states)('an object of many times the memory, $title', ({ state }) => {
  it('goes to a disk and back with less than 64 MB more', { timeout: 300_000 }, async () => {
    const path = mkdtempSync(join(tmpdir(), 'forge-large-'))
    try {
      await expectFlat('disk', { path }, state)
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })

  it.runIf(hasS3)('goes over S3 in parts and back with less than 64 MB more', { timeout: 300_000 }, async () => {
    await expectFlat('s3', { ...server, bucket: 'large' }, state)
  })
})
