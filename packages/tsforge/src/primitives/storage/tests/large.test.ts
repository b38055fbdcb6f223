import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBytes } from '../../../kernel/durations.ts'
import { hasS3, s3StartMs, startS3 } from '../../../testing/s3-server.ts'
import type { S3Server } from '../../../testing/s3-server.ts'

const run = promisify(execFile)
const mebibyte = 2 ** 20
/** All of a gigabyte with FORGE_TEST_LARGE=1gb. */
const size = parseBytes(process.env['FORGE_TEST_LARGE'] ?? '256mb')

const states = [
  { state: 'cold', title: 'in processes that have done nothing before', processes: [['up'], ['down']] },
  { state: 'warm', title: 'in a process that has streamed before', processes: [['up', 'down']] },
] as const

type State = (typeof states)[number]

/** In processes of their own, whose memory nothing else uses and whose garbage nobody sweeps. */
async function expectFlat(kind: 'disk' | 's3', settings: object, { state, processes }: State): Promise<void> {
  const worker = fileURLToPath(new URL('./large-worker.ts', import.meta.url))
  for (const passes of processes) {
    const args = ['--conditions=source', worker, kind, JSON.stringify(settings), String(size), state, ...passes]
    const { stdout } = await run(process.execPath, args)
    const report = JSON.parse(stdout) as Record<string, Record<'length' | 'grownBytes' | 'mibPerSecond', number>>
    for (const pass of passes) {
      expect(report[pass]?.length).toBe(size)
      expect(report[pass]?.grownBytes, `${pass}, ${stdout}`).toBeLessThan(64 * mebibyte)
    }
  }
}

let server: S3Server | undefined
beforeAll(async () => {
  if (!hasS3) return
  server = await startS3()
  await server.createBucket('large')
}, s3StartMs)
afterAll(() => server?.[Symbol.asyncDispose]())

describe.each(states)('an object of many times the memory, $title', (state) => {
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
