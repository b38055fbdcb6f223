import { createServer, connect } from 'node:net'
import type { Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { silentLog } from '../../kernel/log.ts'
import { Secret } from '../../kernel/options.ts'
import type { Migrator } from '../../primitives/db/migrate/index.ts'
import { createTestDatabase } from '../../testing/index.ts'
import { isPglite } from '../../testing/server.ts'
import { freePort } from '../../testing/server-process.ts'
import { migratorOf } from '../migrations.ts'
import type { Migratable } from '../migrations.ts'

const migrations = [{ module: 'keys', directory: new URL('../../primitives/keys/migrations/', import.meta.url) }]
let doors: Server[] = []
afterEach(async () => {
  for (const door of doors) await new Promise((resolve) => door.close(resolve))
  doors = []
})

/** Listens on `port` and leads to the server of `url`. */
function open(url: string, port: number): Promise<void> {
  const { hostname, port: target } = new URL(url)
  const folder = decodeURIComponent(hostname)
  const door = createServer((socket) => {
    const far = folder.startsWith('/')
      ? connect(`${folder}/.s.PGSQL.${target}`)
      : connect(Number(target || 5432), folder)
    for (const end of [socket, far]) end.on('error', () => {}).on('close', () => (socket.destroy(), far.destroy()))
    socket.pipe(far).pipe(socket)
  })
  doors.push(door)
  return new Promise((resolve) => door.listen(port, '127.0.0.1', resolve))
}

function migrator(port: number, url: string, clock: Clock, startTimeoutMs: number): Migrator {
  const { username, password, pathname } = new URL(url)
  const directUrl = new Secret(`postgres://${username}:${password || 'x'}@127.0.0.1:${port}${pathname}`)
  const app = { plan: { options: { db: { directUrl, startTimeoutMs } }, migrations }, clock, log: silentLog }
  return migratorOf(app as unknown as Migratable)
}

describe.each(isPglite() ? [] : ['the direct URL'])('migrations over %s', () => {
  it('wait for a server that is late', async () => {
    await using database = await createTestDatabase(migrations)
    const port = await freePort()
    let waits = 0
    // Each wait between two attempts is the moment in which the server may come up.
    const sleep: Clock['sleep'] = async () => void (++waits === 2 && (await open(database.url, port)))
    const status = await migrator(port, database.url, { ...systemClock, sleep }, 30_000).status()
    expect(status.map(({ state }) => state)).toEqual(['applied'])
    expect(waits).toBe(2)
  })

  it('fail when the time for it has passed', async () => {
    await using database = await createTestDatabase(migrations)
    const port = await freePort()
    await expect(migrator(port, database.url, systemClock, 0).status()).rejects.toMatchObject({
      code: 'db.unavailable',
    })
  })
})
