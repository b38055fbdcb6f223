/**
 * Writes `docs/configuration.md` and `.env.example` from the options of all modules. `--check` reports whether
 * they are current.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { filesIn, read, root, runAsTool, stale, write } from './workspace.ts'
import type { Generated } from './workspace.ts'

interface Field {
  readonly env: string
  readonly doc: string
  readonly defaultText?: string | undefined
  parse(raw: string): unknown
}
type Schema = Readonly<Record<string, Field>>
interface Docs {
  optionsTable(schema: Schema): string
  envExample(schemas: Readonly<Record<string, Schema>>): string
}

/** The option schemas of the tree at `base`, by module name. */
export async function schemasIn(base: string): Promise<Record<string, Schema>> {
  const src = join(base, 'packages/tsforge/src')
  const files = filesIn(src).filter((file) => /(?:^|\/)options\.ts$/.test(file) && !/^kernel\/|\/tests\//.test(file))
  const schemas: Record<string, Schema> = {}
  for (const file of files) {
    const module = (await import(pathToFileURL(join(src, file)).href)) as Record<string, unknown>
    const found = Object.values(module).filter(isSchema)
    if (found.length > 0) schemas[nameOf(file)] = Object.assign({}, ...found) as Schema
  }
  return schemas
}

function isSchema(value: unknown): value is Schema {
  const fields = typeof value === 'object' && value !== null ? Object.values(value) : []
  return (
    fields.length > 0 && fields.every((field) => typeof field?.env === 'string' && typeof field.parse === 'function')
  )
}

/** `host/options.ts` → `app`, `primitives/db/options.ts` → `db`. */
function nameOf(file: string): string {
  return file.replace(/^(?:primitives|features)\//, '').replace(/\/options\.ts$/, '')
}

/** Faults of the schemas themselves: variables outside of the naming rule, missing sentences, defaults that are shown as nobody may write them. */
function faultsOf(schemas: Readonly<Record<string, Schema>>): string[] {
  return Object.entries(schemas).flatMap(([module, schema]) =>
    Object.values(schema).flatMap((field) => [
      ...(/^[A-Z][A-Z0-9_]*$/.test(field.env) ? [] : [`${module}: ${field.env} is not an environment variable's name`]),
      ...(field.doc.trim() === '' ? [`${module}: ${field.env} has no documentation`] : []),
      ...(isReadable(field)
        ? []
        : [`${module}: the default of ${field.env} is shown as ${field.defaultText}, which is refused`]),
    ]),
  )
}

function isReadable({ defaultText = '', parse }: Field): boolean {
  try {
    if (defaultText !== '') parse(defaultText)
    return true
  } catch {
    return false
  }
}

async function generate(base: string, schemas: Readonly<Record<string, Schema>>): Promise<Generated[]> {
  const docs = (await import(pathToFileURL(join(base, 'packages/tsforge/src/kernel/option-docs.ts')).href)) as Docs
  const sections = Object.entries(schemas).map(([module, schema]) => `## ${module}\n\n${docs.optionsTable(schema)}`)
  const page = [
    '# Configuration',
    '',
    'Every environment variable that the framework reads. The environment beats `.env`; all faults are reported at once when an app starts.',
    'This page is generated from the option schemas; do not edit it.',
    '',
    sections.join('\n'),
  ].join('\n')
  return [
    { path: 'docs/configuration.md', text: page },
    { path: '.env.example', text: docs.envExample(schemas) },
  ]
}

/** Faults of the option schemas and their pages in the tree at `base`. */
export async function check(base: string): Promise<string[]> {
  if (read(join(base, 'packages/tsforge/src/kernel/option-docs.ts')) === undefined)
    return ['kernel/option-docs.ts is missing']
  const schemas = await schemasIn(base)
  return [...faultsOf(schemas), ...stale(base, await generate(base, schemas), 'node tools/options-docs.ts')]
}

if (process.argv[1] === import.meta.filename && !process.argv.includes('--check'))
  console.log(write(root, await generate(root, await schemasIn(root))).join('\n') || 'up to date')
else await runAsTool(import.meta, check)
