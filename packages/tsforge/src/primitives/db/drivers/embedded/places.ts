import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Identity } from './identity.ts'
import { nobodyId } from './identity.ts'

/** Folders of one embedded server. */
export interface Places {
  /** What the caller named; holds everything else unless the server's user cannot enter it. */
  readonly home: string
  readonly data: string
  /** Where the socket lies; nobody else may enter it, which is the server's whole access control. */
  readonly socket: string
  readonly log: string
  /** Names the process with which the server ends. */
  readonly owner: string
  readonly cache: string
}

/** The path of a Unix socket must fit into `sockaddr_un`: 107 bytes on Linux, 103 on macOS. */
const longestSocketPath = 103
const socketName = '/.s.PGSQL.5432'

export async function prepare(folder: string, identity: Identity): Promise<Places> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const named = await realpath(folder)
  // Another user may not pass the parents of the app's folder; root has a place of its own for such data.
  const home =
    identity === 'nobody' && !(await passable(named))
      ? await mkdirs(join('/var/lib/tsforge', digest(named)), 0o755)
      : named
  const inside = join(home, 'run')
  const socket = Buffer.byteLength(inside + socketName) <= longestSocketPath ? inside : await shortFolder(home)
  const places: Places = {
    home,
    data: join(home, 'data'),
    socket,
    log: join(home, 'server.log'),
    owner: join(home, 'owner'),
    cache: join(home, 'cache'),
  }
  await mkdir(socket, { recursive: true, mode: 0o700 })
  await refuseStrangers(socket)
  if (identity === 'nobody') {
    await chown(home, nobodyId, nobodyId)
    await chown(socket, nobodyId, nobodyId)
    await mkdirs(places.cache, 0o755)
  }
  await chmod(socket, 0o700)
  return places
}

/** A name that anybody can compute must not be a folder that somebody else has made. */
async function refuseStrangers(folder: string): Promise<void> {
  const { uid } = await stat(folder)
  const us = process.getuid?.() ?? uid
  if (uid !== us && !(us === 0 && uid === nobodyId)) throw new Error(`${folder} belongs to another user`)
}

async function shortFolder(home: string): Promise<string> {
  return join(await realpath(tmpdir()), `forge-${process.getuid?.() ?? 0}-${digest(home)}`)
}

function digest(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 16)
}

async function mkdirs(path: string, mode: number): Promise<string> {
  await mkdir(path, { recursive: true, mode })
  return path
}

async function passable(folder: string): Promise<boolean> {
  for (let at = dirname(folder); ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (dirname(at) === at) return true
  }
}
