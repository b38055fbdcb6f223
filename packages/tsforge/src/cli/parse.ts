import { resolve } from 'node:path'
import type { Command, Flag, Invocation } from './command.ts'
import { UsageError } from './command.ts'
import { globalFlags } from './help.ts'
import { nearest } from '../kernel/load-options.ts'

type Values = Record<string, string | boolean | undefined>

/** Splits `args` into words and flags, refusing what the command does not know. */
export function parse(name: string, command: Command, args: readonly string[]): Omit<Invocation, 'terminal'> {
  const { words, flags } = split(args, { ...command.flags, ...globalFlags })
  if (flags['help'] !== true) checkWords(name, command, words)
  const { cwd } = flags
  return { words, flags, cwd: resolve(typeof cwd === 'string' ? cwd : '.') }
}

function checkWords(name: string, { words: known = {} }: Command, [first, ...rest]: readonly string[]): void {
  if (first === undefined) return
  const names = Object.keys(known)
  if (names.length === 0) throw new UsageError(`forge ${name} takes no "${first}".`)
  const word = Object.hasOwn(known, first) ? known[first] : undefined
  if (word === undefined) throw new UsageError(`forge ${name} has no "${first}"${suggestion(first, names)}`)
  const takes = typeof word === 'string' ? [] : word.takes
  if (rest.length > takes.length) throw new UsageError(`forge ${name} ${first} takes no "${rest[takes.length]}".`)
  const missing = takes.slice(rest.length).filter((take) => !take.startsWith('['))
  if (missing.length > 0) throw new UsageError(`forge ${name} ${first} needs ${missing.join(' ')}.`)
}

/** Like `util.parseArgs`, but names the flag that was probably meant. */
function split(args: readonly string[], known: Readonly<Record<string, Flag>>): { words: string[]; flags: Values } {
  const words: string[] = []
  const flags: Values = {}
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string
    if (arg === '--') {
      words.push(...args.slice(i + 1))
      break
    }
    if (!arg.startsWith('-') || arg === '-') {
      words.push(arg)
      continue
    }
    const equals = arg.indexOf('=')
    const typed = equals === -1 ? arg : arg.slice(0, equals)
    const [name, flag] = find(typed, known)
    if (flag.type === 'boolean') {
      if (equals !== -1) throw new UsageError(`--${name} takes no value.`)
      flags[name] = true
      continue
    }
    const value = equals === -1 ? args[++i] : arg.slice(equals + 1)
    if (value === undefined || value === '' || (equals === -1 && value.startsWith('--'))) {
      throw new UsageError(`--${name} needs a value: --${name} ${flag.value ?? '<value>'}`)
    }
    flags[name] = value
  }
  return { words, flags }
}

function find(typed: string, known: Readonly<Record<string, Flag>>): [string, Flag] {
  for (const [name, flag] of Object.entries(known)) {
    if (typed === `--${name}` || (flag.short !== undefined && typed === `-${flag.short}`)) return [name, flag]
  }
  const close = nearest(typed.replace(/^-+/, ''), Object.keys(known))
  throw new UsageError(`Unknown option ${typed}${close === undefined ? '.' : `. Did you mean --${close}?`}`)
}

/** ` Did you mean "x"?`, or the whole list when nothing is close. */
export function suggestion(word: string, known: readonly string[]): string {
  const close = nearest(word, known)
  return close === undefined ? `. It knows: ${known.join(', ')}.` : `. Did you mean "${close}"?`
}
