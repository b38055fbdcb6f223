import { readFileSync } from 'node:fs'
import type { Command } from './command.ts'
import { UsageError } from './command.ts'
import { commands } from './commands.ts'
import { helpFor, overview } from './help.ts'
import { parse, suggestion } from './parse.ts'
import { createTerminal } from './terminal.ts'
import type { Streams, Terminal } from './terminal.ts'

/** Runs one command. Sets the process' exit code: 0 done, 1 failed, 2 asked in a way that forge does not know. */
export async function main(args: readonly string[], streams?: Streams): Promise<void> {
  if (streams === undefined) for (const stream of [process.stdout, process.stderr]) stream.on('error', unlessClosed)
  const terminal = createTerminal(args.includes('--json'), streams)
  try {
    process.exitCode = await dispatch(args, terminal)
  } catch (error) {
    process.exitCode = error instanceof UsageError ? 2 : 1
    const { report } = await import('./report.ts')
    report(error, terminal)
  }
}

/** `forge openapi | head`: a reader that has seen enough is no fault. */
function unlessClosed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

async function dispatch(args: readonly string[], terminal: Terminal): Promise<number> {
  const position = args.findIndex((arg, i) => !arg.startsWith('-') && args[i - 1] !== '--cwd')
  const name = position === -1 ? undefined : (args[position] as string)
  if (name === undefined) {
    if (args.includes('--version') || args.includes('-v')) return version(terminal)
    const unknown = args.find(
      (arg, i) => arg.startsWith('-') && !/^(?:--help|-h|--json|--cwd(?:=.*)?)$/.test(arg) && args[i - 1] !== '--cwd',
    )
    if (unknown !== undefined) throw new UsageError(`Unknown option ${unknown}.`)
    terminal.answer(summaries(), overview)
    return 0
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry === undefined) {
    if (name === 'help') return help(args[position + 1], terminal)
    throw new UsageError(`forge has no command "${name}"${suggestion(name, Object.keys(commands))}`)
  }
  const command = await entry.load()
  const call = parse(name, command, [...args.slice(0, position), ...args.slice(position + 1)])
  if (call.flags['help'] === true) return explain(name, command, terminal)
  if (call.flags['version'] === true) return version(terminal)
  return (await command.run({ ...call, terminal })) ?? 0
}

async function help(name: string | undefined, terminal: Terminal): Promise<number> {
  if (name === undefined || name.startsWith('-')) {
    terminal.answer(summaries(), overview)
    return 0
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (entry === undefined)
    throw new UsageError(`forge has no command "${name}"${suggestion(name, Object.keys(commands))}`)
  return explain(name, await entry.load(), terminal)
}

function explain(name: string, command: Command, terminal: Terminal): number {
  const { usage, words, flags, examples } = command
  terminal.answer({ command: name, summary: commands[name]?.summary, usage, words, flags, examples }, () =>
    helpFor(name, command),
  )
  return 0
}

function summaries(): unknown {
  return { commands: Object.entries(commands).map(([name, { summary }]) => ({ name, summary })) }
}

function version(terminal: Terminal): number {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  terminal.answer({ version: manifest.version, node: process.version }, () => manifest.version)
  return 0
}
