import { pino } from 'pino'
import type { Logger } from 'pino'
import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import type { LineSink, Log } from '../../kernel/log.ts'
import type { LogLevel } from './options.ts'
import { redact } from './redact.ts'

export interface LogSettings {
  readonly level: LogLevel
  readonly sink: LineSink
  readonly clock: Clock
  /** In every line: name and version of the app, for instance. */
  readonly bindings?: Readonly<Record<string, unknown>>
}

/**
 * JSON lines `{ level, time, …bindings, …context, …fields, msg }`: the level by name, the time in ISO 8601, and
 * `request_id`, `trace_id`, `span_id`, `tenant_id`, `actor_id` of the current unit of work. Secrets are replaced.
 */
export function createLog({ level, sink, clock, bindings = {} }: LogSettings): Log {
  const logger = pino(
    {
      level,
      base: redact(bindings),
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Everything is plain already; see `redact`.
      serializers: { err: (value: unknown) => value },
      mixin: contextFields,
    },
    sink,
  )
  return wrap(logger)
}

function wrap(logger: Logger): Log {
  const write =
    (method: 'debug' | 'info' | 'warn' | 'error' | 'fatal'): Log['info'] =>
    (fields, message) => {
      if (!logger.isLevelEnabled(method)) return
      try {
        logger[method](redact(fields), message)
      } catch {
        // A getter of a logged object threw. The sentence still counts.
        logger[method]({ unprintable: true }, message)
      }
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    // pino calls the sink's flushSync after it.
    fatal: write('fatal'),
    child: (fields) => wrap(logger.child(redact(fields))),
  }
}

function contextFields(): Record<string, unknown> {
  const context = currentContext()
  if (context === undefined) return {}
  return {
    request_id: context.requestId,
    ...(context.trace !== undefined && { trace_id: context.trace.traceId, span_id: context.trace.spanId }),
    ...(context.tenantId !== null && { tenant_id: context.tenantId }),
    ...(context.actor.id !== null && { actor_id: context.actor.id }),
  }
}
