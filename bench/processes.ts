import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/** Servers get a core of their own where the machine has two and `taskset` exists. */
export const pinned: boolean =
  process.platform === 'linux' && availableParallelism() > 1 && works('taskset', ['--version'])

function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Whether wrk is there; the load comes from it then. */
export const hasWrk: boolean = works('sh', ['-c', 'command -v wrk'])

/** Moves this process, and what it starts, off the servers' core. */
export function leaveServerCore(): void {
  if (pinned)
    execFileSync('taskset', ['-cp', `1-${availableParallelism() - 1}`, String(process.pid)], { stdio: 'ignore' })
}

/** A server under test. */
export interface Server {
  readonly name: string
  readonly port: number
  readonly pid: number
  /** Standard output: the log lines. */
  readonly logFile: string
  /** Milliseconds from the start of the process to its first 200. */
  readonly startMs: number
  /** Processor time used so far, in seconds, or `undefined` where the system does not tell. */
  cpuSeconds(): number | undefined
  /** Resident bytes, or `undefined` where the system does not tell. */
  rss(): number | undefined
  stop(): Promise<void>
}

export interface Launch {
  readonly name: string
  /** Script in `rivals/`. */
  readonly script: string
  readonly env: Readonly<Record<string, string>>
  /** Folder for the log. */
  readonly folder: string
}

/** Starts a server and waits until `/healthz` answers 200. */
export async function launch({ name, script, env, folder }: Launch): Promise<Server> {
  const port = await freePort()
  const logFile = join(folder, `${name}.log`)
  const out = openSync(logFile, 'a')
  const err = openSync(join(folder, `${name}.err`), 'a')
  const node = [process.execPath, join(import.meta.dirname, 'rivals', script)] as const
  const command: readonly string[] = pinned ? ['taskset', '-c', '0', ...node] : node
  const begun = performance.now()
  const child = spawn(command[0]!, command.slice(1), {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env, PORT: String(port) },
    stdio: ['ignore', out, err],
  })
  closeSync(out)
  closeSync(err)
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() - begun > 30_000) {
      await stop(child)
      throw new Error(
        `${name} did not start: ${readFileSync(join(folder, `${name}.err`), 'utf8')}${readFileSync(logFile, 'utf8')}`,
      )
    }
  }
  const startMs = performance.now() - begun
  return {
    name,
    port,
    pid: child.pid!,
    logFile,
    startMs,
    cpuSeconds: () => cpuOf(child.pid!),
    rss: () => rssOf(child.pid!),
    stop: () => stop(child),
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), 5000)
  await gone
  clearTimeout(patience)
}

function answers(port: number): Promise<boolean> {
  return new Promise((done) => {
    const ask = request({ port, host: '127.0.0.1', path: '/healthz', agent: false }, (response) => {
      response.resume()
      done(response.statusCode === 200)
    })
    // A refused connection is asked again soon: the start is measured to about 2 ms.
    ask.on('error', () => setTimeout(done, 2, false))
    ask.end()
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Clock ticks per second of /proc: fixed at 100 for every program on Linux. */
const ticks = 100

function cpuOf(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

/** Processor time that all programs together have used on the servers' core, in seconds; `undefined` when unpinned. */
export function serverCoreSeconds(): number | undefined {
  if (!pinned) return undefined
  const [user, nice, system] = /^cpu0 +(\d+) (\d+) (\d+)/m
    .exec(readFileSync('/proc/stat', 'utf8'))!
    .slice(1)
    .map(Number)
  return (user! + nice! + system!) / ticks
}

function rssOf(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return line === null ? undefined : Number(line[1]) * 1024
}
