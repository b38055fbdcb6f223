import { parseDotenv } from './dotenv.ts'
import type { Dotenv } from './dotenv.ts'
import { ForgeError, defineErrors } from './errors.ts'
import type { ErrorCatalogue } from './errors.ts'
import type { AnySchema, Field, OptionsOf } from './fields.ts'
import { Secret } from './secret.ts'

/** One thing that is wrong with the configuration. */
export interface OptionFault {
  /** The variable, or `.env:7` for a line that cannot be read. */
  readonly name: string
  /** What is wrong and what would be right. Never a secret. */
  readonly problem: string
}

export const configErrors: ErrorCatalogue<'config.invalid'> = defineErrors({
  'config.invalid': {
    status: 500,
    message: {
      en: 'The configuration cannot be used:\n{faults}',
      id: 'Konfigurasi tidak dapat dipakai:\n{faults}',
    },
    fix: 'Correct the named variables in the environment or in .env and start again.',
  },
})

/** All faults of a configuration at once. */
export class ConfigError extends ForgeError<'config.invalid'> {
  readonly faults: readonly OptionFault[]

  constructor(faults: readonly OptionFault[]) {
    const lines = faults.map((fault) => `  ${fault.name} ${fault.problem}`).join('\n')
    super('config.invalid', configErrors.specs['config.invalid'], { meta: { faults: lines } })
    this.faults = faults
  }
}

export interface LoadSettings {
  /** The real environment, e.g. `process.env`. Always beats `dotenv`. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly environment: 'development' | 'test' | 'production'
  /** Text of the `.env` file, or its values. */
  readonly dotenv?: string | Readonly<Record<string, string>> | undefined
  /** Values set in code, by module and key: beaten by both, checked like both. */
  readonly values?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Values of sample files (`.env.example`, compose files), which production refuses as secrets. */
  readonly placeholders?: readonly string[]
  /** `FORGE_…` variables that somebody else reads. */
  readonly known?: readonly string[]
}

/**
 * Reads the options of all modules, by name: environment, then `.env`, then values from code, then defaults.
 * An empty variable counts as unset. Throws one `ConfigError` that lists every fault, unknown `FORGE_…`
 * variables included.
 */
export function loadOptions<const S extends Readonly<Record<string, AnySchema>>>(
  schemas: S,
  settings: LoadSettings,
): { readonly [M in keyof S]: OptionsOf<S[M]> } {
  const dotenv = readDotenv(settings.dotenv)
  const faults: OptionFault[] = dotenv.faults.map(({ line, problem }) => ({ name: `.env:${line}`, problem }))
  const placeholders = new Set([...(settings.placeholders ?? []), ...sampleSecrets(schemas)])
  const loaded: Record<string, Record<string, unknown>> = {}

  for (const [module, schema] of Object.entries(schemas)) {
    const values: Record<string, unknown> = (loaded[module] = {})
    const own = settings.values?.[module] ?? {}
    for (const key of Object.keys(own)) {
      if (!Object.hasOwn(schema, key))
        faults.push({ name: `${module}.${key}`, problem: `is no option${didYouMean(key, Object.keys(schema))}` })
    }
    for (const [key, field] of Object.entries(schema)) {
      const raw = settings.env[field.env]?.trim() || dotenv.values[field.env]?.trim()
      const found = read(field, raw, own[key])
      if ('problem' in found) faults.push({ name: field.env, problem: found.problem })
      else values[key] = found.value
    }
    for (const [key, field] of Object.entries(schema)) {
      const problem = Object.hasOwn(values, key)
        ? refusal(field, values[key], values, settings.environment, placeholders)
        : undefined
      if (problem !== undefined) faults.push({ name: field.env, problem })
    }
  }

  faults.push(...strangers(schemas, settings, dotenv.values))
  if (faults.length > 0) throw new ConfigError(unique(faults))
  return loaded as { readonly [M in keyof S]: OptionsOf<S[M]> }
}

function readDotenv(dotenv: LoadSettings['dotenv']): Dotenv {
  return typeof dotenv === 'string' ? parseDotenv(dotenv) : { values: dotenv ?? {}, faults: [] }
}

type Found = { readonly value: unknown } | { readonly problem: string }

function read(field: Field<unknown>, raw: string | undefined, own: unknown): Found {
  if (!raw && own === undefined) {
    return field.hasDefault ? { value: field.defaultValue } : { problem: `is required (${field.type}): ${field.doc}` }
  }
  // An empty list has no text.
  if (!raw && Array.isArray(own) && own.length === 0 && field.type === 'list') return { value: own }
  const text = raw || written(field, own)
  if (text === undefined) return { problem: `is set in code to something else than ${field.type.replaceAll('\\', '')}` }
  try {
    return { value: field.parse(text) }
  } catch (error) {
    const { message } = error as Error
    return { problem: field.secret ? message.replaceAll(text, '[secret]') : `${message}, not ${show(text)}` }
  }
}

/** A value from code as one would write it into the environment, so that both meet the same parser. */
function written({ type }: Field<unknown>, own: unknown): string | undefined {
  if (own instanceof Secret) return own.reveal()
  if (typeof own === 'number' && type === 'duration')
    return Number.isSafeInteger(own) && own >= 0 ? `${own}ms` : `${own}`
  if (typeof own === 'string' || typeof own === 'number' || typeof own === 'boolean') return String(own)
  if (Array.isArray(own) && type === 'list') return own.join(',')
  return undefined
}

/** Cuts what is long and hides the password of a URL. */
function show(raw: string): string {
  const text = raw.replace(/\/\/[^/?#]*@/g, '//[secret]@')
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

function refusal(
  field: Field<unknown>,
  value: unknown,
  siblings: Readonly<Record<string, unknown>>,
  environment: LoadSettings['environment'],
  placeholders: ReadonlySet<string>,
): string | undefined {
  const secret = value instanceof Secret ? value.reveal() : undefined
  let problem = field.check?.(value, siblings)
  if (problem === undefined && environment === 'production') {
    problem =
      secret !== undefined && placeholders.has(secret)
        ? 'is a placeholder from a sample file; production needs a value of its own'
        : field.production?.(value, siblings)
    if (problem !== undefined && !problem.includes('production')) problem += ', which production refuses'
  }
  return secret === undefined || problem === undefined ? problem : problem.replaceAll(secret, '[secret]')
}

/** Defaults and examples of secrets stand in the docs, so they are no secrets. */
function sampleSecrets(schemas: Readonly<Record<string, AnySchema>>): string[] {
  const found: string[] = []
  for (const field of Object.values(schemas).flatMap((schema) => Object.values(schema))) {
    if (!field.secret) continue
    if (field.example !== undefined) found.push(field.example)
    if (field.defaultValue instanceof Secret) found.push(field.defaultValue.reveal())
  }
  return found
}

function strangers(
  schemas: Readonly<Record<string, AnySchema>>,
  settings: LoadSettings,
  dotenv: Readonly<Record<string, string>>,
): OptionFault[] {
  const known = new Set(settings.known)
  for (const schema of Object.values(schemas)) for (const field of Object.values(schema)) known.add(field.env)
  return [...new Set([...Object.keys(settings.env), ...Object.keys(dotenv)])]
    .filter((name) => name.startsWith('FORGE_') && !known.has(name))
    .map((name) => ({ name, problem: `is no setting${didYouMean(name, [...known])}` }))
}

function didYouMean(name: string, candidates: readonly string[]): string {
  const near = nearest(name, candidates)
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** The candidate that is closest to `name` by edits, if any is close enough to be meant. */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestDistance || name.length > 100) continue
    const distance = edits(name, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance, in one row. */
function edits(a: string, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0]!
    row[0] = i
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!
      row[j] = Math.min(above + 1, row[j - 1]! + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.length]!
}

/** A variable that several modules read is reported once. */
function unique(faults: readonly OptionFault[]): OptionFault[] {
  return [...new Map(faults.map((fault) => [`${fault.name} ${fault.problem}`, fault])).values()]
}
