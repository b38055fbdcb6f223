import type { Command, Flag } from './command.ts'
import { commands } from './commands.ts'

/** Flags that every command takes. */
export const globalFlags: Readonly<Record<string, Flag>> = {
  cwd: { type: 'string', value: '<folder>', doc: 'Folder of the app (default: the current one)' },
  json: { type: 'boolean', doc: 'Answer with one JSON document on stdout' },
  help: { type: 'boolean', short: 'h', doc: 'Show this help' },
  version: { type: 'boolean', short: 'v', doc: 'Show the version' },
}

export function overview(): string {
  return [
    'forge: run and operate a tsforge app',
    '',
    'Usage: forge <command> [options]',
    '',
    ...columns(Object.entries(commands).map(([name, { summary }]) => [name, summary])),
    '',
    ...columns(flagRows(globalFlags)),
    '',
    'forge <command> --help explains a command.',
  ].join('\n')
}

export function helpFor(name: string, command: Command): string {
  const words = Object.entries(command.words ?? {}).map(([word, about]): [string, string] =>
    typeof about === 'string' ? [word, about] : [[word, ...about.takes].join(' '), about.doc],
  )
  return [
    `${commands[name]?.summary}.`,
    '',
    `Usage: forge ${[name, command.usage, '[options]'].filter(Boolean).join(' ')}`,
    ...(words.length === 0 ? [] : ['', ...columns(words)]),
    '',
    ...columns(flagRows({ ...command.flags, ...globalFlags })),
    '',
    'Examples:',
    ...command.examples.map((example) => `  ${example}`),
  ].join('\n')
}

function flagRows(flags: Readonly<Record<string, Flag>>): [string, string][] {
  return Object.entries(flags).map(([name, flag]) => [
    `${flag.short === undefined ? '' : `-${flag.short}, `}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`,
    flag.doc,
  ])
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
