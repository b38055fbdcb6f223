import { spawn } from 'node:child_process'
import type { ChildProcess, StdioOptions } from 'node:child_process'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { forgeBin } from '../e2e/product.ts'
import type { Exit } from '../e2e/product.ts'

/** `forge start` as a bare process: for what happens before it serves, and for what is on its streams. */
export interface Bare extends AsyncDisposable {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  /** What it wrote to stderr (and to stdout, when that is a pipe of ours that is read). */
  output(): string
}

export interface BareOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  readonly wrapper?: readonly string[]
  readonly stdout?: 'pipe' | number
  readonly node?: string
  readonly forge?: string
}

export function bare(root: string, options: BareOptions = {}): Bare {
  const { env, args = [], wrapper = [], stdout = 'pipe', node = process.execPath, forge = forgeBin } = options
  const [command, ...rest] = [...wrapper, node, forge, 'start', ...args, '--cwd', root]
  const stdio: StdioOptions = ['ignore', stdout, 'pipe']
  const child = spawn(command as string, rest, {
    stdio,
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: root, PORT: '0', NODE_ENV: 'development', ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-200_000)))
  const exited = new Promise<Exit>((done, fail) => {
    child.once('error', fail)
    child.once('exit', (code, signal) => done({ code, signal }))
  })
  return {
    child,
    exited,
    output: () => output,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    },
  }
}

/** A connection that says just what it is told to. */
export interface Caller extends Disposable {
  readonly socket: Socket
  readonly said: () => string
  readonly closed: Promise<void>
}

export async function caller(url: string, text = ''): Promise<Caller> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let said = ''
  socket.setEncoding('latin1').on('data', (part: string) => (said += part))
  const closed = new Promise<void>((done) => socket.on('error', () => undefined).once('close', () => done()))
  await new Promise<void>((connected) => socket.once('connect', connected))
  if (text !== '') await new Promise((sent) => socket.write(text, sent))
  return { socket, said: () => said, closed, [Symbol.dispose]: () => void socket.destroy() }
}
