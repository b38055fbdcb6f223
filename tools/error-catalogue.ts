/**
 * Collects every error catalogue of the framework, checks it, and writes `docs/errors.md` from it.
 * `--check` reports, without it the page is written.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { filesIn, read, root, runAsTool, stale, write } from './workspace.ts'
import type { Generated } from './workspace.ts'

const page = 'docs/errors.md'

interface Spec {
  readonly status: number
  readonly message: string | Readonly<Record<string, string>>
  readonly fix?: string
}

export interface Entry extends Spec {
  readonly code: string
  /** Source file relative to `src`. */
  readonly file: string
}

/** First words of a module's codes, where they are not its folder's name or the singular of it. */
const prefixes: Readonly<Record<string, readonly string[]>> = {
  accounts: ['auth', 'account', 'accounts', 'session', 'user'],
  keys: ['auth', 'keys'],
}

/** Every entry of every catalogue that the framework's sources define, by code. */
export async function entriesIn(base: string): Promise<Entry[]> {
  const src = join(base, 'packages/tsforge/src')
  const files = filesIn(src).filter(
    (file) => file.endsWith('.ts') && !file.includes('/tests/') && /= defineErrors\(/.test(read(join(src, file)) ?? ''),
  )
  const found = await Promise.all(
    files.map(async (file) => catalogues(file, await import(pathToFileURL(join(src, file)).href))),
  )
  return found.flat().sort((a, b) => (a.code < b.code ? -1 : 1))
}

function catalogues(file: string, module: Readonly<Record<string, unknown>>): Entry[] {
  return Object.values(module).flatMap((value) => {
    const specs = (value as { specs?: unknown } | null)?.specs
    if (typeof specs !== 'object' || specs === null) return []
    return Object.entries(specs as Record<string, Spec>).map(([code, spec]) => ({ code, file, ...spec }))
  })
}

/** Faults of the entries themselves. */
export function faultsOf(entries: readonly Entry[]): string[] {
  const faults: string[] = []
  const owners = new Map<string, string>()
  for (const entry of entries) {
    const fault = (sentence: string): void => void faults.push(`${entry.file}: ${entry.code} ${sentence}`)
    const owner = owners.get(entry.code)
    if (owner !== undefined) fault(`is declared twice (also in ${owner})`)
    owners.set(entry.code, entry.file)
    const allowed = prefixesOf(entry.file)
    if (allowed !== undefined && !allowed.includes(entry.code.split('.')[0]!))
      fault(`begins with none of: ${allowed.join(', ')}`)
    if (entry.fix === undefined || entry.fix.trim() === '') fault('has no fix')
    if (typeof entry.message === 'string') {
      fault('has no Indonesian sentence')
      continue
    }
    const { en = '', id = '' } = entry.message
    if (en.trim() === '' || id.trim() === '') fault('lacks a sentence in English or Indonesian')
    else if (en === id && en.replaceAll(/\{\w+\}/g, '').trim() !== '') fault('has the same sentence in both languages')
    for (const [locale, sentence] of Object.entries(entry.message)) {
      if (placeholders(sentence) !== placeholders(en)) fault(`has other placeholders in ${locale} than in English`)
    }
  }
  return faults
}

function prefixesOf(file: string): readonly string[] | undefined {
  const folder = /^(?:primitives|features)\/(?:authn\/)?([^/]+)\//.exec(file)?.[1]?.replaceAll('-', '_')
  return folder === undefined ? undefined : (prefixes[folder] ?? [folder, folder.replace(/s$/, '')])
}

function placeholders(sentence: string): string {
  return [...new Set(sentence.match(/\{\w+\}/g) ?? [])].sort().join(' ')
}

function render(entries: readonly Entry[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ')
  const rows = entries.map(({ code, status, message, fix }) => {
    const sentences = typeof message === 'string' ? { en: message, id: '' } : message
    const shown = status === 500 && code !== 'internal' ? `\`${code}\` (shown as \`internal\`)` : `\`${code}\``
    return `| ${shown} | ${status} | ${cell(sentences['en'] ?? '')} | ${cell(sentences['id'] ?? '')} | ${cell(fix ?? '')} |`
  })
  return [
    '# Error codes',
    '',
    'Every error that the framework answers with. Codes are stable: programs may rely on them. `{name}` is filled from `error.meta.name`.',
    'This page is generated from the catalogues; do not edit it.',
    '',
    '| code | status | English | Indonesian | what to do |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

async function generate(base: string): Promise<Generated[]> {
  return [{ path: page, text: render(await entriesIn(base)) }]
}

/** Faults of the catalogues and their page in the tree at `base`. */
export async function check(base: string): Promise<string[]> {
  if (!existsSync(join(base, 'packages/tsforge/src'))) return ['packages/tsforge/src is missing']
  const entries = await entriesIn(base)
  return [
    ...faultsOf(entries),
    ...stale(base, [{ path: page, text: render(entries) }], 'node tools/error-catalogue.ts'),
  ]
}

if (process.argv[1] === import.meta.filename && !process.argv.includes('--check'))
  console.log(write(root, await generate(root)).join('\n') || 'up to date')
else await runAsTool(import.meta, check)
