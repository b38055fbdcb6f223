import { createHash } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../../../kernel/clock.ts'

export interface LockSettings {
  readonly clock: Clock
  readonly waitMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs `work` while no other process does for the same folder: looking at a folder, judging its server dead and
 * starting one is a single step, or two servers would write to the same data. The lock vanishes with its process.
 */
export async function exclusively<T>(
  folder: string,
  { clock, waitMs, signal }: LockSettings,
  work: () => Promise<T>,
): Promise<T> {
  const end = clock.monotonic() + waitMs
  for (;;) {
    const release = await (process.platform === 'linux' ? lockBySocket(folder) : lockByFile(folder))
    if (release !== undefined) {
      try {
        return await work()
      } finally {
        await release()
      }
    }
    if (clock.monotonic() > end) throw new Error('another process has been starting the server for too long')
    await clock.sleep(20, signal)
  }
}

type Release = () => Promise<void>

/** Linux: a name in the abstract socket space has one owner, and the kernel frees it with the process. */
function lockBySocket(folder: string): Promise<Release | undefined> {
  const name = `\0tsforge-${createHash('sha256').update(folder).digest('hex').slice(0, 40)}`
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(name, () => resolve(() => new Promise((done) => server.close(() => done()))))
  })
}

/** Elsewhere: a file that names its owner, taken over when the owner is gone. */
async function lockByFile(folder: string): Promise<Release | undefined> {
  const path = join(folder, 'lock')
  try {
    const file = await open(path, 'wx')
    await file.writeFile(String(process.pid))
    await file.close()
    return () => rm(path, { force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const owner = Number.parseInt(await readFile(path, 'utf8').catch(() => ''), 10)
    if (Number.isInteger(owner) && !alive(owner)) await rm(path, { force: true })
    return undefined
  }
}

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
