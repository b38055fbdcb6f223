import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The secret of a development app: made once, kept in `.forge/secret` for its owner alone. Two processes that
 * start at once get the same one, since `link` refuses to replace a file that exists.
 */
export function developmentSecret(root: string): string {
  const folder = join(root, '.forge')
  const file = join(folder, 'secret')
  const existing = read(file)
  if (existing !== undefined) return existing
  mkdirSync(folder, { recursive: true })
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, file)
  } catch (error) {
    // A machine that crashes may leave a file without its content, and some file systems have no links.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' && !hasNoLinks(error)) throw error
    if (read(file) === undefined) renameSync(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
  return read(file) as string
}

function hasNoLinks(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')
}

function read(file: string): string | undefined {
  try {
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    const text = readFileSync(file, 'utf8').trim()
    return text === '' ? undefined : text
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
