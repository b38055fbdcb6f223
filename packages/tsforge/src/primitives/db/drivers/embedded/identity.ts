import { execFile } from 'node:child_process'
import { userInfo } from 'node:os'

/**
 * Under which identity the programs run. PostgreSQL refuses to run as root; we never create a user for it.
 *
 * - `self`: we are an ordinary user.
 * - `mapped`: we are root, or a user whom the machine does not know by name (PostgreSQL refuses both), and a user
 *   namespace makes the server believe to be `nobody`. It still reads and writes what we may, so folders that other
 *   users cannot enter are no obstacle.
 * - `nobody`: root without namespaces (many containers): the server runs as uid 65534 and needs folders of its own.
 */
export type Identity = 'self' | 'mapped' | 'nobody'

export const nobodyId = 65534

// Every machine knows `nobody` by name; it may know nobody as 1000.
const unshare: readonly string[] = ['unshare', '--user', `--map-user=${nobodyId}`, `--map-group=${nobodyId}`, '--']

export async function chooseIdentity(): Promise<Identity> {
  const root = process.getuid?.() === 0
  if (!root && hasName()) return 'self'
  if (await succeeds([...unshare, 'true'])) return 'mapped'
  return root ? 'nobody' : 'self'
}

/** Containers may run us under any number. */
function hasName(): boolean {
  try {
    return userInfo().username !== ''
  } catch {
    return false
  }
}

/** What to put in front of a command. */
export function prefixOf(identity: Identity): readonly string[] {
  return identity === 'mapped' ? unshare : []
}

/** What to add to the options of `spawn`. */
export function credentialsOf(identity: Identity): { readonly uid?: number; readonly gid?: number } {
  return identity === 'nobody' ? { uid: nobodyId, gid: nobodyId } : {}
}

function succeeds([command, ...args]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command!, args, { timeout: 5000 }, (error) => resolve(error === null))
  })
}
