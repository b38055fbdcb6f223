import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'

/** Whether the command is there and runs. */
export function isInstalled(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Below what a system gives to who asks for any port: nobody gets it between the look and its use. */
const [lowest, highest] = [12_000, 32_000] as const
let last = lowest + Math.floor(Math.random() * (highest - lowest))

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  do last = last < highest ? last + 1 : lowest
  while (!(await isFree(last)))
  return last
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}

/** A server that a test has started: a child process that says nothing. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly #exit: Promise<void>
  ended = false

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#child = spawn(command, args, { env, stdio: 'ignore' })
    this.#exit = new Promise((done) => {
      const end = (): void => {
        this.ended = true
        done()
      }
      this.#child.once('exit', end).once('error', end)
    })
  }

  /** Stops answering, with every connection open. Returns when each thread stands: the signal alone leaves it time for an answer. */
  pause(): void {
    this.#child.kill('SIGSTOP')
    while (!this.ended && isRunning(this.#child.pid!));
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    // A paused process takes no other signal.
    this.#child.kill('SIGCONT')
    await this.#exit
  }

  /** Waits until `answers`. Rejects when it has ended, or takes longer than `withinMs`. */
  async answering(name: string, answers: () => Promise<boolean>, withinMs: number): Promise<void> {
    const until = Date.now() + withinMs
    while (!(await answers())) {
      if (this.ended) throw new Error(`${name} ended right after its start`)
      if (Date.now() > until) throw new Error(`${name} does not answer`)
      await new Promise((wait) => setTimeout(wait, 10))
    }
  }
}

/** Whether a thread of the process is not stopped yet; `false` where the system does not tell. */
function isRunning(pid: number): boolean {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return false
  return readdirSync(tasks).some((thread) => {
    const stat = readFileSync(`${tasks}/${thread}/stat`, 'utf8')
    return !/^[TtZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  })
}

/** Whether what listens there greets who connects (and says `word`) as `is` wants it. */
export function greeted(port: number, is: (bytes: Buffer) => boolean, word?: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => word !== undefined && socket.write(word))
    // Who connects is known to be there; a busy machine takes its time until it speaks.
    socket.setTimeout(20_000, () => socket.destroy())
    socket.once('data', (bytes) => {
      done(is(bytes))
      socket.destroy()
    })
    socket.on('error', () => done(false)).on('close', () => done(false))
  })
}

/** With files that a process which has just ended may still be writing. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 20 })
}
