import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { migrationErrors } from './errors.ts'
import { orderSources } from './order.ts'

/** A script and what its leading `-- forge:` comments say. */
export interface MigrationScript {
  readonly file: string
  readonly sql: string
  /** False after `-- forge:no-transaction`. */
  readonly transactional: boolean
  /** `-- forge:lock-timeout 5s`; PostgreSQL's notation (ms, s, min, h). */
  readonly lockTimeout: string | undefined
  /** `-- forge:statement-timeout 1h`. */
  readonly statementTimeout: string | undefined
}

/** One numbered change of a module. */
export interface Migration {
  readonly module: string
  readonly version: number
  readonly name: string
  /** `module/NNNN_name`, as commands and reports call it. */
  readonly id: string
  /** SHA-256 of the up script, line ends normalized, in hex. */
  readonly checksum: string
  readonly up: MigrationScript
  /** Absolute path; read only when it runs. */
  readonly downFile: string | undefined
}

const filePattern = /^(\d{1,9})_([a-z0-9][a-z0-9_-]*)\.(up|down)\.sql$/
const modulePattern = /^[a-z][a-z0-9_.-]*$/

/**
 * Reads all sources, in the order in which they have to run. Synchronously: it happens once, before anything else
 * runs, and takes a fraction of the time of as many turns through the thread pool.
 */
export function readMigrations(sources: readonly MigrationSource[]): Migration[] {
  return orderSources(sources).flatMap(readModule)
}

export function migrationId(module: string, version: number, name: string): string {
  return `${module}/${String(version).padStart(4, '0')}_${name}`
}

function readModule(source: MigrationSource): Migration[] {
  const { module } = source
  if (!modulePattern.test(module)) throw invalid(module, 'the module name is not lower case')
  const directory = directoryOf(source)
  const pairs = new Map<number, { name: string; up?: string; down?: string }>()
  for (const entry of entriesOf(module, directory)) {
    const [, digits, name, direction] = filePattern.exec(entry) ?? []
    if (digits === undefined || name === undefined)
      throw invalid(module, `${entry} is not called NNNN_name.up.sql or NNNN_name.down.sql`)
    const version = Number(digits)
    const pair = pairs.get(version) ?? { name }
    if (pair.name !== name) throw invalid(module, `number ${digits} is used by "${pair.name}" and by "${name}"`)
    pair[direction as 'up' | 'down'] = join(directory, entry)
    pairs.set(version, pair)
  }
  const versions = [...pairs].toSorted(([a], [b]) => a - b)
  return versions.map(([version, { name, up: upFile, down: downFile }]): Migration => {
    if (upFile === undefined) throw invalid(module, `${downFile ?? name} has no .up.sql beside it`)
    const up = readScript(upFile)
    const checksum = createHash('sha256').update(up.sql).digest('hex')
    return { module, version, name, id: migrationId(module, version, name), checksum, up, downFile }
  })
}

function entriesOf(module: string, directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((entry) => entry.endsWith('.sql'))
      .toSorted()
  } catch (cause) {
    throw invalid(module, `the folder ${directory} cannot be read`, cause)
  }
}

export function readScript(file: string): MigrationScript {
  // A checkout with CRLF line ends or a byte order mark is not an edit.
  const sql = readFileSync(file, 'utf8')
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
  const directives = new Map<string, string>()
  for (const line of sql.split('\n')) {
    if (line.trim() !== '' && !line.startsWith('--')) break
    const [, key, value] = /^--\s*forge:([a-z-]+)\s*=?\s*(\S*)\s*$/.exec(line) ?? []
    if (key !== undefined) directives.set(key, value ?? '')
  }
  return {
    file,
    sql,
    transactional: !directives.has('no-transaction'),
    lockTimeout: timeout(directives.get('lock-timeout')),
    statementTimeout: timeout(directives.get('statement-timeout')),
  }
}

function timeout(value: string | undefined): string | undefined {
  return value !== undefined && /^\d+(ms|s|min|h)?$/.test(value) ? value : undefined
}

function directoryOf({ directory }: MigrationSource): string {
  return directory instanceof URL || directory.startsWith('file:') ? fileURLToPath(directory) : directory
}

function invalid(module: string, reason: string, cause?: unknown): Error {
  return migrationErrors.error('db.migration_source_invalid', { meta: { module, reason }, cause })
}
