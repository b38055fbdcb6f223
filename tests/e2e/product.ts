import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { vi } from 'vitest'
import { createTestDatabase } from 'tsforge/testing'

// Many processes are started one after the other, each of which takes a busy machine seconds.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 })

const repository = resolve(import.meta.dirname, '../..')
export const forgeBin: string = join(repository, 'packages/tsforge/bin/forge.js')

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The reference app in a folder of its own, as if freshly cloned. */
export interface AppFolder extends AsyncDisposable {
  readonly root: string
}

/**
 * On the embedded database, or on a database of its own when the tests run on a server; PGlite serves one
 * process alone and cannot show what these tests are about.
 */
export async function appFolder(): Promise<AppFolder> {
  const root = mkdtempSync(join(tmpdir(), 'forge-e2e-'))
  cpSync(join(repository, 'apps/reference'), root, {
    recursive: true,
    filter: (source) => !['node_modules', '.forge', '.env'].includes(basename(source)),
  })
  symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'))
  const database =
    process.env['FORGE_TEST_DATABASE']?.startsWith('postgres') === true ? await createTestDatabase() : undefined
  if (database !== undefined) writeFileSync(join(root, '.env'), `DATABASE_URL="${database.url}"\n`)
  return {
    root,
    [Symbol.asyncDispose]: async () => {
      // The database of a killed process takes a moment to end, and writes meanwhile.
      await rm(root, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 })
      await database?.[Symbol.asyncDispose]()
    },
  }
}

export interface LaunchOptions {
  readonly root: string
  readonly env?: Readonly<Record<string, string>>
  /** Words in front of the command, e.g. `['setpriv', '--reuid=1000']`. */
  readonly wrapper?: readonly string[]
  /** Default: this process' Node and the repository's `forge`. */
  readonly node?: string
  readonly forge?: string
}

export interface Reply<Data> {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly success: boolean
    readonly data: Data
    readonly error: { readonly code: string }
    readonly request_id: string
  }
}

export interface Asking {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** A running app: a process of its own, spoken to over a socket. */
export interface Product extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly exited: Promise<Exit>
  /** What it has written to stderr so far; its log. */
  log(): string
  kill(signal: NodeJS.Signals): void
  ask<Data = unknown>(method: string, path: string, asking?: Asking): Promise<Reply<Data>>
}

/** All callers come from this machine, and many at once: limits, where the app has some, are for a test of their own. */
function environment(root: string, env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const config = join(root, 'forge.config.ts')
  const limited = existsSync(config) && readFileSync(config, 'utf8').includes("'tsforge/ratelimit'")
  return {
    PATH: process.env['PATH'],
    HOME: root,
    PORT: '0',
    NODE_ENV: 'development',
    // Many ask at once, on a machine that may be busy: refusing what comes too fast is for a test of its own as well.
    DATABASE_POOL_WAIT: '30s',
    FORGE_HTTP_SHED_DELAY: '30s',
    ...(limited && { FORGE_RATELIMIT_ENFORCED: 'false' }),
    ...env,
  }
}

/** Runs `forge start` and waits until it serves. Rejects with its log when it ends before. */
export async function launch({
  root,
  env = {},
  wrapper = [],
  node = process.execPath,
  forge = forgeBin,
}: LaunchOptions): Promise<Product> {
  const [command, ...args]: string[] = [...wrapper, node, forge, 'start', '--json', '--cwd', root]
  const child = spawn(command as string, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: environment(root, env),
  })
  let out = ''
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const exited = new Promise<Exit>((done, fail) => {
    child.once('error', fail)
    child.once('close', (code, signal) => done({ code, signal }))
  })
  const url = await new Promise<string>((found, fail) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
      const document = parsed(out)
      if (document?.urls !== undefined) found(document.urls.api.replace(/\/$/, ''))
    })
    exited.then(
      ({ code, signal }) => fail(new Error(`the app ended before it served (${signal ?? code})\n${out}\n${log}`)),
      fail,
    )
  })
  return {
    url,
    pid: child.pid as number,
    exited,
    log: () => log,
    kill: (signal) => void child.kill(signal),
    ask: (method, path, asking) => ask(url, method, path, asking),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    },
  }
}

function parsed(text: string): { urls?: { api: string } } | undefined {
  try {
    return JSON.parse(text) as { urls?: { api: string } }
  } catch {
    return undefined
  }
}

export async function ask<Data>(
  url: string,
  method: string,
  path: string,
  { token, body, headers }: Asking = {},
): Promise<Reply<Data>> {
  const answer = await fetch(url + path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  const isJson = /[/+]json\b/.test(answer.headers.get('content-type') ?? '')
  return {
    status: answer.status,
    headers: answer.headers,
    body: (isJson && text !== '' ? JSON.parse(text) : undefined) as Reply<Data>['body'],
  }
}

/** Asks again and again until `condition` gives something, at most for `withinMs`: machines may be busy. */
export async function eventually<T>(
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 90_000,
): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline)
      throw new Error(`it did not happen within ${withinMs} ms: ${condition.toString()}`)
    await new Promise((again) => setTimeout(again, 25))
  }
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** stdout, when it is one JSON document. */
  readonly json: unknown
}

/** Runs one command of the CLI to its end. */
export async function forge(
  root: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [forgeBin, ...args, '--cwd', root], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(root, env),
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  return { code, out, err, json: parsed(out) }
}
