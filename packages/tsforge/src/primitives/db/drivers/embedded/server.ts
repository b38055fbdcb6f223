import type { ChildProcess } from 'node:child_process'
import pg from 'pg'
import { systemClock } from '../../../../kernel/clock.ts'
import type { Clock } from '../../../../kernel/clock.ts'
import { ForgeError } from '../../../../kernel/errors.ts'
import { dbErrors } from '../../errors.ts'
import { findBinaries } from './binaries.ts'
import type { Binaries } from './binaries.ts'
import { ensureCluster } from './cluster.ts'
import { chooseIdentity } from './identity.ts'
import type { Identity } from './identity.ts'
import { exclusively } from './lock.ts'
import { prepare } from './places.ts'
import type { Places } from './places.ts'
import { administration, answers, launch, owned, readPidFile, serves } from './postmaster.ts'

export interface EmbeddedOptions {
  /** Folder for data, socket and log, e.g. `<app>/.forge/postgres`. Made when missing. */
  readonly dir: string
  /** Default true. False is faster, and a crash of the machine may spoil the data: for tests. */
  readonly durable?: boolean
  /** Default 50. */
  readonly maxConnections?: number
  /** How the server's identity is chosen when we are root; default: what works here. */
  readonly identity?: Identity
  readonly clock?: Clock
  /** Gives up a start that is under way. */
  readonly signal?: AbortSignal | undefined
  /** Where the search for the binaries' package starts; default: the framework itself. */
  readonly from?: string | URL
}

/** A running server. */
export interface EmbeddedServer {
  /** Folder of the socket: `host` for `pg`. */
  readonly host: string
  /** Process id of the server. */
  readonly pid: number
  /** False when another process had started it; then `stop` leaves it running. */
  readonly owned: boolean
  /** `postgres://` URL of a database of this server, over its socket. */
  url(database?: string): string
  /**
   * Makes a database, by default an empty one; from a `template` it is a copy of that database, to which nobody may be
   * connected meanwhile. Names are plain identifiers.
   */
  createDatabase(name: string, template?: string): Promise<void>
  /** Drops a database, ending its connections. */
  dropDatabase(name: string): Promise<void>
  /** Resolves once the server has ended. Only for an owned one. */
  readonly ended: Promise<void>
  /** Ends the server (fast shutdown: open transactions are rolled back) and waits for it. */
  stop(): Promise<void>
}

interface Ready {
  readonly places: Places
  readonly binaries: Binaries
  readonly identity: Identity
}

const lockWaitMs = 60_000

/**
 * Starts PostgreSQL for a folder, or joins the server which another process runs for it already. The server ends
 * with the process that started it, also when that one is killed.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const clock = options.clock ?? systemClock
  try {
    const identity = options.identity ?? (await chooseIdentity())
    const places = await prepare(options.dir, identity)
    const binaries = await findBinaries({ cache: places.cache, foreign: identity === 'nobody', from: options.from })
    return await exclusively(places.home, { clock, waitMs: lockWaitMs, signal: options.signal }, () =>
      joinOrStart({ places, binaries, identity }, options, clock),
    )
  } catch (error) {
    if (error instanceof ForgeError) throw error
    if (options.signal?.aborted === true) throw dbErrors.error('db.unavailable', { cause: error })
    throw dbErrors.error('db.embedded_failed', { meta: { reason: 'see the cause in the log' }, cause: error })
  }
}

async function joinOrStart(ready: Ready, options: EmbeddedOptions, clock: Clock): Promise<EmbeddedServer> {
  const { places, binaries, identity } = ready
  const { signal } = options
  await ensureCluster(places, binaries, identity, signal)
  const running = await runningServer(places, clock, signal)
  if (running !== undefined) return handle(running.socket, running.pid, undefined, clock)
  const child = await launch({
    places,
    binaries,
    identity,
    durable: options.durable ?? true,
    maxConnections: options.maxConnections ?? 50,
    clock,
    signal,
  })
  return handle(places.socket, child.pid!, child, clock)
}

/** The live server of the folder, once it takes connections. One that is ending is waited for. */
async function runningServer(
  places: Places,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<{ readonly pid: number; readonly socket: string } | undefined> {
  const end = clock.monotonic() + 30_000
  while (clock.monotonic() < end) {
    const found = await readPidFile(places.data)
    if (found === undefined || !(await serves(found.pid, places.data))) return undefined
    if (!(await owned(places))) askToEnd(found.pid)
    else if (found.status === 'ready' && found.socket !== '' && (await answers(found.socket))) return found
    await clock.sleep(20, signal)
  }
  throw new Error('a server of this folder runs but does not answer')
}

/** Its watcher has done so, unless that was killed as well. */
function askToEnd(server: number): void {
  try {
    process.kill(server, 'SIGINT')
  } catch {
    // It has ended.
  }
}

async function administer(host: string, text: string): Promise<void> {
  const client = new pg.Client(administration(host))
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

function handle(host: string, pid: number, child: ChildProcess | undefined, clock: Clock): EmbeddedServer {
  const ended =
    child === undefined
      ? new Promise<void>(() => {})
      : new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    host,
    pid,
    owned: child !== undefined,
    ended,
    createDatabase: (name, template = 'template0') =>
      administer(host, `create database ${pg.escapeIdentifier(name)} template ${pg.escapeIdentifier(template)}`),
    dropDatabase: (name) => administer(host, `drop database if exists ${pg.escapeIdentifier(name)} with (force)`),
    url: (database = 'postgres') =>
      `postgres://postgres@${encodeURIComponent(host)}:5432/${encodeURIComponent(database)}`,
    stop: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      child.ref()
      child.kill('SIGINT')
      const patience = clock.after(10_000, () => child.kill('SIGQUIT'))
      await ended
      patience.cancel()
    },
  }
}
