import { closeSync, openSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { constants } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from 'tsforge/testing/redis-server'
import { ask, eventually } from '../e2e/product.ts'
import type { Exit } from '../e2e/product.ts'
import { anyDatabase, arena } from './arena.ts'
import { bare } from './process.ts'

async function flood(url: string, requests: number): Promise<number[]> {
  const statuses: number[] = []
  const caller = async (): Promise<void> => {
    while (statuses.length < requests) statuses.push((await ask(url, 'GET', '/healthz')).status)
  }
  await Promise.all(Array.from({ length: 16 }, caller))
  return statuses
}

/** Cut off at its shutdown timeout it would not end with 0: the time here is for a busy machine. */
async function ends(exited: Promise<Exit>, ms: number): Promise<Exit> {
  let ended: Exit | undefined
  void exited.then((exit) => (ended = exit))
  return eventually(() => ended, ms)
}

describe('a log that nobody takes', () => {
  it('since its reader has gone does not end the app', async () => {
    await using folder = arena()
    await using database = await anyDatabase()
    const port = String(await freePort())
    await using app = bare(folder.root, { env: { PORT: port, DATABASE_URL: database.url } })
    const url = `http://127.0.0.1:${port}`
    await eventually(() => app.output().includes('listening'), 100_000)
    app.child.stdout?.destroy()
    app.child.stderr?.destroy()
    expect(new Set(await flood(url, 500))).toEqual(new Set([200]))
    app.child.kill('SIGTERM')
    expect(await ends(app.exited, 40_000)).toEqual({ code: 0, signal: null })
  })

  it.each(['a pipe', 'a socket'])('since its reader sleeps (%s) neither blocks the app nor its end', async (kind) => {
    await using folder = arena()
    await using database = await anyDatabase()
    const port = String(await freePort())
    const fifo = join(folder.root, 'log')
    if (kind === 'a pipe') execFileSync('mkfifo', [fifo])
    // Open for both directions, so that it has a reader, which reads nothing.
    const fd = kind === 'a pipe' ? openSync(fifo, constants.O_RDWR) : undefined
    await using app = bare(folder.root, {
      env: { PORT: port, DATABASE_URL: database.url, FORGE_SHUTDOWN_TIMEOUT: '20s' },
      stdout: fd ?? 'pipe',
    })
    if (fd === undefined) app.child.stdout?.pause()
    const url = `http://127.0.0.1:${port}`
    await eventually(
      () =>
        ask(url, 'GET', '/readyz').then(
          ({ status }) => status === 200,
          () => false,
        ),
      100_000,
    )
    expect(new Set(await flood(url, 1500))).toEqual(new Set([200]))
    app.child.kill('SIGTERM')
    expect(await ends(app.exited, 40_000)).toEqual({ code: 0, signal: null })
    if (fd !== undefined) closeSync(fd)
  })
})
