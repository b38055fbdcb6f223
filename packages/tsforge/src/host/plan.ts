import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Feature } from '../http/feature.ts'
import { httpOptions } from '../http/options.ts'
import { loadOptions, nearest } from '../kernel/load-options.ts'
import type { AnySchema } from '../kernel/fields.ts'
import type { HttpOptions } from '../http/options.ts'
import type { AppInfo, MigrationSource } from '../kernel/plugin.ts'
import { logOptions } from '../primitives/telemetry/index.ts'
import type { LogOptions } from '../primitives/telemetry/index.ts'
import { arrange } from './arrange.ts'
import { describeApp, featuresOf } from './config.ts'
import type { AppConfig, Env } from './config.ts'
import { hostErrors } from './errors.ts'
import { hostOptions } from './options.ts'
import type { HostOptions } from './options.ts'

/** An app on paper: its parts in order and their settings, with nothing connected yet. */
export interface Plan {
  readonly app: AppInfo
  readonly features: readonly Feature[]
  readonly host: HostOptions
  readonly http: HttpOptions
  readonly log: LogOptions
  /** Settings of each feature, by its name. */
  readonly options: Readonly<Record<string, unknown>>
  readonly migrations: readonly MigrationSource[]
}

export interface PlanInput {
  readonly config: AppConfig
  /** More features than those of `config`. */
  readonly features?: readonly Feature[]
  /** Default: `process.env`. */
  readonly env?: Env
  /** Folder of the app. Default: the current one. */
  readonly root?: string
}

/** Arranges the parts and reads the settings of all of them, so that one error tells every fault. */
export async function planApp(input: PlanInput): Promise<Plan> {
  const { config, env = process.env, root = process.cwd() } = input
  const app = describeApp(config, root, env)
  const features = await arrange([...featuresOf(config), ...(input.features ?? [])])
  const schemas = schemasOf(features)
  for (const module of Object.keys(config.options ?? {})) {
    if (!Object.hasOwn(schemas, module))
      throw hostErrors.error('boot.config', { meta: { reason: unknownModule(module, Object.keys(schemas)) } })
  }
  const loaded: Readonly<Record<string, unknown>> = loadOptions(schemas, {
    env,
    environment: app.environment,
    dotenv: readDotenv(app),
    values: config.options ?? {},
    placeholders: sampleValues(app.root),
    known: foreign(env),
  })
  return {
    app,
    features,
    host: loaded['host'] as HostOptions,
    http: loaded['http'] as HttpOptions,
    log: loaded['log'] as LogOptions,
    options: loaded,
    migrations: features.flatMap((feature) => feature.migrations ?? []),
  }
}

/** The settings of the host and of every feature, by module. */
export function schemasOf(features: readonly Feature[]): Readonly<Record<string, AnySchema>> {
  const own = features.map((feature) => [feature.name, (feature.options ?? {}) as AnySchema] as const)
  return {
    host: hostOptions as AnySchema,
    http: httpOptions as AnySchema,
    log: logOptions as AnySchema,
    ...Object.fromEntries(own),
  }
}

/** Read by the CLI and the test lab, and no setting of an app. */
function foreign(env: Env): readonly string[] {
  return ['FORGE_DEBUG', ...Object.keys(env).filter((name) => name.startsWith('FORGE_TEST_'))]
}

/** `.env` beside the config. Not read in tests, so that they mean the same on every machine. */
function readDotenv({ root, environment }: AppInfo): string | undefined {
  const file = join(root, '.env')
  return environment === 'test' || !existsSync(file) ? undefined : readFileSync(file, 'utf8')
}

/** What the app's own sample file holds is no secret, whatever it looks like. */
function sampleValues(root: string): readonly string[] {
  const file = join(root, '.env.example')
  if (!existsSync(file)) return []
  const found = readFileSync(file, 'utf8').matchAll(/^[#\s]*[A-Z][A-Z0-9_]*=["']?([^"'\n]{8,}?)["']?\s*$/gm)
  return [...found].map(([, value]) => value as string)
}

function unknownModule(module: string, known: readonly string[]): string {
  const close = nearest(module, known)
  return `\`options\` of the config names "${module}", which is no part of this app${close === undefined ? '.' : `; did you mean "${close}"?`}`
}
