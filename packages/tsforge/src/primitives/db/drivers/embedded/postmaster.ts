import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { open, readFile, readdir, readlink, realpath, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import pg from 'pg'
import type { Clock } from '../../../../kernel/clock.ts'
import { dbErrors } from '../../errors.ts'
import type { Binaries } from './binaries.ts'
import type { Identity } from './identity.ts'
import { credentialsOf, prefixOf } from './identity.ts'
import { alive } from './lock.ts'
import type { Places } from './places.ts'

const keptLogBytes = 4 * 1024 * 1024

/** What `postmaster.pid` says (PostgreSQL source, `pidfile.h`: one fact per line). */
export interface PidFile {
  readonly pid: number
  readonly socket: string
  /** `starting`, `ready`, `stopping`, `standby`; empty while the file is being written. */
  readonly status: string
}

export async function readPidFile(data: string): Promise<PidFile | undefined> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.trim())
  const pid = Number.parseInt(lines[0] ?? '', 10)
  return Number.isInteger(pid) ? { pid: Math.abs(pid), socket: lines[4] ?? '', status: lines[7] ?? '' } : undefined
}

/** Whether `pid` is a server of this very data folder: process ids are given anew, in containers soon. */
export async function serves(pid: number, data: string): Promise<boolean> {
  if (!alive(pid)) return false
  const folder = await realpath(data)
  if (process.platform === 'linux') {
    // A server works in its data folder. Of somebody else's process we may not know; then it is not ours.
    return (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === folder
  }
  return new Promise((resolve) => {
    execFile('ps', ['-ww', '-o', 'command=', '-p', String(pid)], (error, stdout) =>
      resolve(error === null && stdout.includes(folder)),
    )
  })
}

/** Whether the server lets somebody in: one that starts or ends takes connections, and says no to each. */
export async function answers(socket: string): Promise<boolean> {
  const probe = new pg.Client({ ...administration(socket), connectionTimeoutMillis: 5000 })
  probe.on('error', () => undefined)
  try {
    await probe.connect()
    await probe.end()
    return true
  } catch (error) {
    // One that is full, say, is there; class 57P is 'not yet' and 'no longer'.
    return error instanceof pg.DatabaseError && error.code?.startsWith('57P') === false
  }
}

/** The database that every server has. */
export function administration(socket: string): pg.ClientConfig {
  return { host: socket, port: 5432, user: 'postgres', database: 'postgres' }
}

/** Whether the process lives with which the server ends. False: the server is about to end, whatever it answers. */
export async function owned(places: Places): Promise<boolean> {
  const owner = Number.parseInt(await readFile(places.owner, 'utf8').catch(() => ''), 10)
  return Number.isNaN(owner) || (alive(owner) && !(await unburied(owner)))
}

/** Whether the process is dead and its parent has not asked for it yet. */
async function unburied(pid: number): Promise<boolean> {
  // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the state stands behind the name, which may hold anything.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
}

/**
 * Removes what a killed server left. A new one takes over from a dead process by itself, but refuses when the id in
 * the file belongs to somebody again, or to a process that nobody has buried (containers without an init).
 * Under the folder's lock, with no server found, the files can only be stale; but the killed server's own children
 * must be gone before a new one may touch the data.
 */
async function clearAway(places: Places, clock: Clock): Promise<void> {
  const stale = await readPidFile(places.data)
  if (stale === undefined) return
  const end = clock.monotonic() + 30_000
  while (await inUse(places.data)) {
    if (clock.monotonic() > end) throw new Error('processes of a killed server are still at work in the data folder')
    await clock.sleep(10)
  }
  if (alive(stale.pid)) await rm(join(places.data, 'postmaster.pid'), { force: true })
  for (const name of ['.s.PGSQL.5432', '.s.PGSQL.5432.lock']) await rm(join(places.socket, name), { force: true })
}

/** Whether any process works in the data folder. Elsewhere than on Linux the server's own check has to do. */
async function inUse(data: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const folder = await realpath(data)
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await readlink(`/proc/${name}/cwd`).catch(() => '')) === folder) return true
  }
  return false
}

export interface LaunchSettings {
  readonly places: Places
  readonly binaries: Binaries
  readonly identity: Identity
  /** False: a crash of the machine may lose or spoil the data. */
  readonly durable: boolean
  readonly maxConnections: number
  readonly clock: Clock
  readonly signal: AbortSignal | undefined
}

/**
 * Holds the server's life to ours. A watcher reads a pipe that only we hold open: when we are gone, however we went,
 * it asks the server to stop. We write one line before that when the server has ended by itself, so that the watcher
 * never signals a process id which has been given to somebody else. Forked twice, so that the server has no strange child.
 */
const watched = '((read -r line <&3 || kill -INT $$) </dev/null >/dev/null 2>&1 &); exec "$@" 3<&- </dev/null'

/** Starts the server and waits until it takes connections. Call it under the folder's lock. */
export async function launch(settings: LaunchSettings): Promise<ChildProcess> {
  const { places, binaries, identity, clock, signal } = settings
  if (((await stat(places.log).catch(() => undefined))?.size ?? 0) > keptLogBytes) await truncate(places.log)
  await clearAway(places, clock)
  await writeFile(places.owner, String(process.pid))
  const log = await open(places.log, 'a', 0o600)
  const from = (await log.stat()).size
  const child = spawn(
    '/bin/sh',
    ['-c', watched, 'sh', ...prefixOf(identity), binaries.postgres, ...serverArgs(settings)],
    {
      ...credentialsOf(identity),
      // Its own session: Ctrl-C in the terminal reaches us alone, and we stop the server when we have drained.
      detached: true,
      cwd: '/',
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' },
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
    },
  )
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const leash = child.stdio[3] as Writable & { unref?(): void }
  leash.on('error', () => undefined)
  void exited.then(() => leash.end('ended\n'))
  await log.close()
  child.unref()
  leash.unref?.()

  let ended = false
  void exited.then(() => (ended = true))
  const end = clock.monotonic() + 60_000
  while (!ended && signal?.aborted !== true && clock.monotonic() < end) {
    if ((await readPidFile(places.data))?.status === 'ready' && (await answers(places.socket))) return child
    await clock.sleep(5)
  }
  if (!ended) {
    child.ref()
    child.kill('SIGQUIT')
    // Whoever comes next must neither join it nor remove its files while it writes.
    await exited
  }
  const said = (await readFile(places.log)).subarray(from).toString('utf8').slice(-4000)
  throw dbErrors.error('db.embedded_failed', {
    meta: { reason: ended ? 'the server ended at once' : 'the server was not ready in time' },
    cause: new Error(said),
  })
}

function serverArgs({ places, binaries, durable, maxConnections }: LaunchSettings): string[] {
  const set: Record<string, string | number> = {
    listen_addresses: '',
    port: 5432,
    unix_socket_directories: places.socket,
    unix_socket_permissions: '0700',
    max_connections: maxConnections,
    shared_buffers: '32MB',
    wal_level: 'minimal',
    max_wal_senders: 0,
    timezone: 'UTC',
    log_timezone: 'UTC',
    jit: 'off',
    ...(binaries.major >= 18 && { io_method: 'sync' }),
    ...(!durable && { fsync: 'off', full_page_writes: 'off' }),
  }
  return ['-D', places.data, ...Object.entries(set).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}
