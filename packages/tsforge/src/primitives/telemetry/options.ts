import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'

export interface LogOptions {
  readonly level: LogLevel
  /** Lines for people in place of JSON; `undefined` decides by where the app runs. */
  readonly pretty: boolean | undefined
}

export const logOptions: OptionsSchema<LogOptions> = {
  level: field.oneOf('FORGE_LOG_LEVEL', {
    doc: 'Least severe level that is logged.',
    values: ['debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
  }),
  pretty: field.optional(
    field.boolean('FORGE_LOG_PRETTY', {
      doc: 'Lines for people in place of JSON; unset: only in development on a terminal.',
    }),
  ),
}
