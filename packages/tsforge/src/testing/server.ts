import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../primitives/db/drivers/embedded.ts'

/** Set by the run's setup; workers find the server by it. */
export const serverVariable = 'FORGE_TEST_SERVER_URL'

/** What the tests run on, as `FORGE_TEST_DATABASE` says: `embedded` (default), `pglite`, or the URL of a server. */
export type TestTarget = { readonly kind: 'pglite' } | { readonly kind: 'server'; readonly url: string }

export function isPglite(): boolean {
  return process.env['FORGE_TEST_DATABASE'] === 'pglite'
}

export interface OpenedTarget {
  readonly target: TestTarget
  close(): Promise<void>
}

/** Opens what the tests of one run share. The embedded server lives in a folder of its own and never syncs to disk. */
export async function openTarget(): Promise<OpenedTarget> {
  const wanted = process.env['FORGE_TEST_DATABASE'] ?? 'embedded'
  if (wanted === 'pglite') return { target: { kind: 'pglite' }, close: async () => {} }
  if (/^postgres(?:ql)?:\/\//.test(wanted)) return { target: { kind: 'server', url: wanted }, close: async () => {} }
  if (wanted !== 'embedded')
    throw new Error(`FORGE_TEST_DATABASE is "${wanted}"; it must be embedded, pglite or a postgres:// URL`)
  removeAbandoned()
  const dir = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`))
  const server = await startEmbedded({ dir, durable: false, maxConnections: 200 })
  return {
    target: { kind: 'server', url: server.url() },
    close: async () => {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

let shared: Promise<TestTarget> | undefined

/** The run's target; opened here when no setup has done it (then it lives as long as this process). */
export function testTarget(): Promise<TestTarget> {
  return (shared ??= find())
}

async function find(): Promise<TestTarget> {
  const url = process.env[serverVariable]
  if (url !== undefined && url !== '') return { kind: 'server', url }
  return (await openTarget()).target
}

const prefix = 'forge-test-'

/** Folders of runs that were killed. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = Number(/^forge-test-(\d+)-/.exec(name)?.[1] ?? Number.NaN)
    if (!Number.isInteger(owner) || alive(owner)) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {
      // Another user's, who will do it.
    }
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
