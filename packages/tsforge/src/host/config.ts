import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { defineFeature } from '../http/feature.ts'
import type { Feature } from '../http/feature.ts'
import type {
  AppInfo,
  JobDeclaration,
  ScheduleDeclaration,
  SubscriptionDeclaration,
  TopicDeclaration,
} from '../kernel/plugin.ts'
import { hostErrors } from './errors.ts'

/** An app: its name and what it is made of. */
export interface AppConfig {
  /** Lower case, digits and dashes; used in logs, headers and as the token issuer's default. */
  readonly name: string
  /** Default: the version in the app's `package.json`. */
  readonly version?: string
  /** What the app is made of, in any order. What they need and is not listed comes by itself. */
  readonly features: readonly Feature[]
  /** Jobs of no feature: `[handle(sendReport, async ({ payload }) => { … })]`. */
  readonly jobs?: readonly JobDeclaration[]
  readonly schedules?: readonly ScheduleDeclaration[]
  readonly subscriptions?: readonly SubscriptionDeclaration[]
  /** What callers can follow as it happens, of no feature: `[defineTopic({ … })]`. */
  readonly topics?: readonly TopicDeclaration[]
  /**
   * Settings in code, by part and key, e.g. `{ accounts: { accessTtlMs: 300_000 } }`. The environment and `.env` win,
   * and the same checks apply.
   */
  readonly options?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

const namePattern = /^[a-z][a-z0-9-]{0,62}$/

/** Types and checks an app's configuration; `export default defineConfig({ … })` in `forge.config.ts`. */
export function defineConfig(config: AppConfig): AppConfig {
  if (!namePattern.test(config.name)) {
    throw hostErrors.error('boot.config', {
      meta: {
        reason: `The app's name ${JSON.stringify(config.name)} must be lower case letters, digits and dashes (at most 63).`,
      },
    })
  }
  return config
}

/** The features of a config, with one more that declares what belongs to none of them. */
export function featuresOf({ features, jobs, schedules, subscriptions, topics }: AppConfig): readonly Feature[] {
  if ([jobs, schedules, subscriptions, topics].every((each) => each === undefined)) return features
  const own = defineFeature({
    name: 'app',
    setup: () => {},
    ...(jobs !== undefined && { jobs: () => jobs }),
    ...(schedules !== undefined && { schedules: () => schedules }),
    ...(subscriptions !== undefined && { subscriptions: () => subscriptions }),
    ...(topics !== undefined && { topics: () => topics }),
  })
  return [...features, own]
}

export type Env = Readonly<Record<string, string | undefined>>

/** `NODE_ENV`, which is development when unset. Anything unknown is refused instead of guessed. */
export function environmentOf(env: Env): AppInfo['environment'] {
  const value = env['NODE_ENV'] || 'development'
  if (value === 'development' || value === 'test' || value === 'production') return value
  throw hostErrors.error('boot.environment', { meta: { value } })
}

export function describeApp(config: AppConfig, root: string, env: Env): AppInfo {
  const folder = resolve(root)
  return {
    name: config.name,
    version: config.version ?? versionIn(folder),
    environment: environmentOf(env),
    root: folder,
  }
}

function versionIn(root: string): string {
  const file = join(root, 'package.json')
  if (!existsSync(file)) return '0.0.0'
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown }
  return typeof version === 'string' ? version : '0.0.0'
}
