import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'

/** The repository's root folder. */
export const root: string = resolve(import.meta.dirname, '..')

/** Where tools keep what they may keep from run to run. */
export const cacheFolder: string = join(root, 'node_modules/.cache/tsforge')

const ignored = new Set(['node_modules', 'dist', '.git', '.forge', 'coverage'])

/** All files below `folder`, as paths relative to it with `/`, sorted. Build output and dependencies are left out. */
export function filesIn(folder: string): string[] {
  const found: string[] = []
  const visit = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (ignored.has(entry.name)) continue
      const path = join(at, entry.name)
      if (entry.isDirectory()) visit(path)
      else found.push(relative(folder, path).split(sep).join('/'))
    }
  }
  visit(folder)
  return found.sort()
}

export interface Ran {
  readonly status: number
  /** stdout and stderr, in the order of arrival. */
  readonly output: string
  readonly stdout: string
}

/** Compiler and linter are written in Go: without its collector, up to here, they take a quarter less time. */
const roomy = { GOGC: 'off', GOMEMLIMIT: '2GiB' }

/** Runs a command with the project's own Node first on PATH. Never throws for a non-zero exit. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((done) => {
    const child = execFile(
      command === 'node' ? process.execPath : command,
      args,
      {
        cwd: options.cwd ?? root,
        env: { ...process.env, ...roomy, NO_COLOR: '1', FORCE_COLOR: undefined, ...options.env },
        maxBuffer: 1 << 28,
      },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        const failure = error !== null && typeof error.code !== 'number' ? `\n${error.message}` : ''
        done({ status, stdout, output: stdout + stderr + failure })
      },
    )
    child.stdin?.end()
  })
}

/** A check over the tree at `base`: one sentence for each fault. */
export type Check = (base: string) => Promise<readonly string[]> | readonly string[]

/** A file that a tool generates. */
export interface Generated {
  /** Relative to the root. */
  readonly path: string
  readonly text: string
}

/** Faults of generated files that are missing or stale in the tree at `base`. */
export function stale(base: string, files: readonly Generated[], command: string): string[] {
  return files
    .filter(({ path, text }) => read(join(base, path)) !== text)
    .map(({ path }) => `${path} is stale: run \`${command}\``)
}

/** Writes what differs; returns the paths written. */
export function write(base: string, files: readonly Generated[]): string[] {
  const changed = files.filter(({ path, text }) => read(join(base, path)) !== text)
  for (const { path, text } of changed) writeFileSync(join(base, path), text)
  return changed.map(({ path }) => path)
}

/** The text of a file, or `undefined` when there is none. */
export function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Prints faults and sets the exit code when a tool file is run by itself. */
export async function runAsTool(meta: ImportMeta, check: Check): Promise<void> {
  if (process.argv[1] !== meta.filename) return
  const faults = await check(root)
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) process.exitCode = 1
}
