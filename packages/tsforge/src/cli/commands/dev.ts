import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { watch } from 'node:fs'
import { sep } from 'node:path'
import type { Command } from '../command.ts'

/** Editors write a file in several steps; one restart is enough for all of them. */
const settleMs = 120

export const dev: Command = {
  usage: '',
  flags: { watch: { type: 'string', value: '<folders>', doc: 'More folders to watch, comma separated' } },
  examples: ['forge dev', 'forge dev --watch ../shared'],
  async run({ cwd, flags, terminal }) {
    const extra = typeof flags['watch'] === 'string' ? flags['watch'].split(',').map((folder) => folder.trim()) : []
    const { resolve } = await import('node:path')
    const runner = createRunner(cwd, (text) => terminal.note(text))
    let timer: NodeJS.Timeout | undefined
    for (const folder of [cwd, ...extra.map((each) => resolve(cwd, each))]) {
      const watcher = watch(folder, { recursive: true }, (_event, file) => {
        if (file === null || !matters(file)) return
        clearTimeout(timer)
        timer = setTimeout(() => runner.restart(file), settleMs)
      })
      // A folder that was removed, or more files than the system watches: the app goes on without.
      watcher.on('error', (error: Error) => terminal.note(`${folder} is watched no more: ${error.message}`))
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.on(signal, () => void runner.stop().then((code) => process.exit(code)))
    runner.start()
    await new Promise(() => {})
  },
}

/** Sources and settings; nothing that the app or a tool writes. */
export function matters(file: string): boolean {
  const parts = file.split(sep)
  if (parts.some((part) => part === 'node_modules' || part === 'dist' || part === 'coverage' || part === 'tests'))
    return false
  const name = parts.at(-1) as string
  if (parts.slice(0, -1).some((part) => part.startsWith('.'))) return false
  return (
    name === '.env' ||
    (!name.startsWith('.') && !/\.test\.[mc]?[jt]s$/.test(name) && /\.(?:[mc]?[jt]s|json|sql)$/.test(name))
  )
}

interface Runner {
  start(): void
  restart(file: string): void
  /** Resolves with the exit code of the app. */
  stop(): Promise<number>
}

/** Keeps one `forge start` alive. A stopping one is awaited before the next begins, since both want the port. */
function createRunner(cwd: string, tell: (text: string) => void): Runner {
  let child: ChildProcess | undefined
  let exited: Promise<number> = Promise.resolve(0)
  let restarting: Promise<void> | undefined
  let stopped = false

  const start = (): void => {
    const entry = process.argv[1] as string
    const started = spawn(process.execPath, [...process.execArgv, entry, 'start', '--cwd', cwd], { stdio: 'inherit' })
    child = started
    exited = new Promise((resolve) => {
      started.once('error', (error) => {
        tell(`The app could not be started: ${error.message}`)
        resolve(1)
      })
      started.once('exit', (code, signal) => {
        child = undefined
        if (!stopped && restarting === undefined)
          tell(`The app has ended (${signal ?? `exit code ${code}`}); waiting for a change.`)
        resolve(code ?? 1)
      })
    })
  }
  return {
    start,
    restart(file) {
      if (restarting !== undefined || stopped) return
      tell(`${file} has changed; restarting.`)
      restarting = (async () => {
        child?.kill('SIGTERM')
        await exited
        restarting = undefined
        if (!stopped) start()
      })()
    },
    async stop() {
      stopped = true
      child?.kill('SIGTERM')
      return exited
    },
  }
}
