import { execFile } from 'node:child_process'

/**
 * Under which identity the programs run. PostgreSQL refuses to run as root; we never create a user for it.
 *
 * - `self`: we are an ordinary user.
 * - `mapped`: we are root, and a user namespace makes the server believe to be somebody else. It still reads and
 *   writes what root may, so folders that other users cannot enter are no obstacle.
 * - `nobody`: root without namespaces (many containers): the server runs as uid 65534 and needs folders of its own.
 */
export type Identity = 'self' | 'mapped' | 'nobody'

export const nobodyId = 65534

const unshare: readonly string[] = ['unshare', '--user', '--map-user=1000', '--map-group=1000', '--']

export async function chooseIdentity(): Promise<Identity> {
  if (process.getuid?.() !== 0) return 'self'
  return (await succeeds([...unshare, 'true'])) ? 'mapped' : 'nobody'
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
