import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { dbContract } from '../contract.ts'
import { embedded } from '../drivers/embedded.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'forge-test-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

dbContract({ name: 'embedded', create: () => embedded({ dir, poolWaitMs: 60_000, lockTimeoutMs: 60_000 }) })
