import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as turn } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { createDb } from '../db.ts'
import { embedded } from '../drivers/embedded.ts'
import { answers, readPidFile, serves } from '../drivers/embedded/postmaster.ts'
import { connectionChannel } from '../events.ts'
import type { DbConnectionEvent } from '../events.ts'
import { ask, embeddedLab } from './embedded-lab.ts'

const lab = embeddedLab()

async function gone(pid: number, data: string): Promise<void> {
  while (await serves(pid, data)) await turn(2)
}

/** The shells that end a server when its app is gone. */
function watchersOf(server: number): number[] {
  const found = execFileSync('ps', ['-s', String(server), '-o', 'pid=,comm='], { encoding: 'utf8' })
  return [...found.matchAll(/^\s*(\d+) sh$/gm)].map(([, pid]) => Number(pid))
}

describe('several processes of one app', () => {
  it('share the server of the first, and only that one ends it', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.startElsewhere(dir)
    const second = await lab.start(dir)
    expect([first.owned, second.owned, second.pid]).toEqual([true, false, first.pid])
    await second.stop()
    expect(await ask(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
  }, 180_000)

  it('that start at the same moment agree on one server', async () => {
    const dir = join(lab.base, 'pg')
    const all = await Promise.all([lab.startElsewhere(dir), lab.startElsewhere(dir), lab.start(dir)])
    expect(new Set(all.map((server) => server.pid)).size).toBe(1)
    expect(all.filter((server) => server.owned)).toHaveLength(1)
  }, 180_000)

  it('go on while the one that had started the server is ending it', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.start(dir)
    const driver = embedded({ dir, durable: false })
    const db = createDb(driver)
    await db.query('create table kept as select 1 as n')
    const held = new pg.Client({ connectionString: first.url() })
    held.on('error', () => undefined)
    await held.connect()
    const { rows } = await held.query<{ pid: number }>('select pg_backend_pid() as pid')
    // A backend that stands holds the server in the state in which it refuses everybody.
    process.kill(rows[0]!.pid, 'SIGSTOP')
    const stopped = first.stop()
    await expect.poll(async () => (await readPidFile(join(dir, 'data')))?.status).toBe('stopping')
    await expect.poll(() => driver.stats!().total).toBe(0)
    const found = db.query('select n from kept', [])
    process.kill(rows[0]!.pid, 'SIGCONT')
    expect((await found).rows).toEqual([{ n: 1 }])
    await stopped
    await db.close()
  }, 180_000)

  it('go on when the one that had started the server ends', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.startElsewhere(dir)
    const db = createDb(embedded({ dir, durable: false }))
    await db.query('create table kept as select 1 as n')
    await first.finish()
    expect((await db.query('select n from kept', [])).rows).toEqual([{ n: 1 }])
    await db.close()
    expect(await readPidFile(join(dir, 'data'))).toBeUndefined()
  }, 180_000)
})

describe('after a crash', () => {
  it('of the app no server stays behind, and the next start finds the data', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.startElsewhere(dir)
    await ask(first.url, 'create table kept as select 1 as n')
    await first.kill()
    const next = await lab.start(dir)
    expect([next.owned, await ask(next.url(), 'select n from kept')]).toEqual([true, [{ n: 1 }]])
    expect(await serves(first.pid, join(dir, 'data'))).toBe(false)
  }, 180_000)

  it('of the app whose server nobody has told to end, that server is ended and not joined', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.startElsewhere(dir)
    const watchers = watchersOf(first.pid)
    expect(watchers).toHaveLength(1)
    process.kill(watchers[0]!, 'SIGKILL')
    await first.kill()
    const next = await lab.start(dir)
    expect([next.owned, await serves(first.pid, join(dir, 'data'))]).toEqual([true, false])
  }, 180_000)

  // Elsewhere nobody tells such a process from one that lives.
  it.runIf(process.platform === 'linux')(
    'of the app whose parent has not asked for it yet, its server is not joined',
    async () => {
      const dir = await lab.seeded('pg')
      const first = await lab.start(dir)
      const parent = spawn('sh', ['-c', '(read line <&3) & echo $!; exec sleep 600'], {
        stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
      })
      lab.defer(() => parent.kill('SIGKILL'))
      const [said] = (await once(parent.stdout!, 'data')) as [Buffer]
      const child = Number(String(said))
      const told = (pid: number): Promise<string> => readFile(`/proc/${pid}/stat`, 'utf8')
      // A shell would bury its child.
      await expect.poll(() => told(parent.pid!)).toContain('(sleep)')
      ;(parent.stdio[3] as Writable).end()
      await expect.poll(() => told(child)).toContain(') Z')
      await writeFile(join(dir, 'owner'), String(child))
      const next = await lab.start(dir)
      expect([next.owned, await serves(first.pid, join(dir, 'data'))]).toEqual([true, false])
    },
    180_000,
  )

  it('of a backend the driver goes on with the server that it had started, and ends it with itself', async () => {
    const dir = await lab.seeded('pg')
    const driver = embedded({ dir, durable: false })
    const db = createDb(driver)
    await db.query('create table kept as select 1 as n')
    const { pid } = (await readPidFile(join(dir, 'data')))!
    const backends: number[] = []
    for (let n = 0; n < 2; n++) {
      const client = new pg.Client({ host: join(dir, 'run'), user: 'postgres', database: 'postgres' })
      client.on('error', () => undefined)
      await client.connect()
      backends.push((await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid)
    }
    // While a backend stands, the server cannot recover from the death of the other and lets nobody in.
    process.kill(backends[0]!, 'SIGSTOP')
    process.kill(backends[1]!, 'SIGKILL')
    await expect.poll(() => answers(join(dir, 'run'))).toBe(false)
    await expect.poll(() => driver.stats!().total).toBe(0)
    const found = db.query('select n from kept', [])
    const settled = found.catch(() => undefined)
    process.kill(backends[0]!, 'SIGCONT')
    await settled
    expect((await readPidFile(join(dir, 'data')))?.pid).toBe(pid)
    expect((await found).rows).toEqual([{ n: 1 }])
    await db.close()
    expect(await readPidFile(join(dir, 'data'))).toBeUndefined()
  }, 180_000)

  it('of the server the driver starts it again and loses nothing that was committed', async () => {
    const dir = await lab.seeded('pg')
    const db = createDb(embedded({ dir }))
    await db.query('create table kept (n int)')
    await db.query('insert into kept values (1)', [])
    const restarted = Promise.withResolvers<void>()
    const hear = (event: unknown): void =>
      void ((event as DbConnectionEvent).kind === 'server_restarted' && restarted.resolve())
    connectionChannel.subscribe(hear)
    const { pid } = (await readPidFile(join(dir, 'data')))!
    process.kill(pid, 'SIGKILL')
    await restarted.promise
    connectionChannel.unsubscribe(hear)
    expect((await db.query('select n from kept', [])).rows).toEqual([{ n: 1 }])
    await db.close()
  }, 180_000)

  it('of both at once the stale files are no obstacle, even when the process id lives on as something else', async () => {
    const dir = await lab.seeded('pg')
    const first = await lab.startElsewhere(dir)
    await ask(first.url, 'create table kept as select 1 as n')
    process.kill(first.pid, 'SIGSTOP')
    first.process.kill('SIGKILL')
    process.kill(first.pid, 'SIGKILL')
    await gone(first.pid, join(dir, 'data'))
    const file = join(dir, 'data', 'postmaster.pid')
    const stale = await readFile(file, 'utf8')
    await writeFile(file, stale.replace(/^\d+/, String(process.pid)))
    const next = await lab.start(dir)
    expect([next.owned, await ask(next.url(), 'select n from kept')]).toEqual([true, [{ n: 1 }]])
  }, 180_000)

  it('in the middle of initdb it begins again and clears away', async () => {
    const dir = join(lab.base, 'pg')
    const dead = spawn('true')
    await new Promise((resolve) => dead.once('exit', resolve))
    await mkdir(join(dir, `data.new-${dead.pid}`, 'base'), { recursive: true })
    await mkdir(join(dir, 'data', 'base'), { recursive: true })
    const server = await lab.start(dir)
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(dir)).filter((name) => name.startsWith('data.new-'))).toEqual([])
  }, 180_000)
})
