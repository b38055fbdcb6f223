import { isatty } from 'node:tty'
import type { Clock } from '../../kernel/clock.ts'
import type { LineSink, Log } from '../../kernel/log.ts'
import type { AppInfo } from '../../kernel/plugin.ts'
import { createFileSink } from './line-sink.ts'
import { createLog } from './log.ts'
import type { LogLevel, LogOptions } from './options.ts'
import { prettySink } from './pretty.ts'

export interface TelemetrySettings {
  readonly app: Pick<AppInfo, 'name' | 'version' | 'environment'>
  readonly clock: Clock
  /** Default: stdout, in the background. Who gave it closes it. */
  readonly sink?: LineSink
  /** File descriptor or path in place of stdout, when no `sink` is given. */
  readonly destination?: number | string
}

export interface Telemetry {
  readonly log: Log
  /** For finished lines such as the access line of HTTP: the same destination and level, without the log's own costs. */
  readonly sink: LineSink
  /** Lines dropped because the destination was too slow; 0 for a sink that was given. */
  dropped(): number
  flush(): Promise<void>
  close(): Promise<void>
}

/** The log of an app and the sink behind it. */
export function createTelemetry(options: LogOptions, settings: TelemetrySettings): Telemetry {
  const { app, clock, destination = 1 } = settings
  const file = settings.sink === undefined ? createFileSink({ clock, destination }) : undefined
  const plain = settings.sink ?? file!
  const terminal = app.environment === 'development' && typeof destination === 'number' && isatty(destination)
  const sink = (options.pretty ?? (file !== undefined && terminal)) ? prettySink(plain) : plain
  return {
    log: createLog({ level: options.level, sink, clock, bindings: { app: app.name, version: app.version } }),
    sink: atLeast(options.level, sink),
    dropped: () => file?.dropped ?? 0,
    flush: () => file?.flush() ?? Promise.resolve(plain.flushSync()),
    close: () => file?.close() ?? Promise.resolve(plain.flushSync()),
  }
}

const severity: readonly string[] = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] satisfies LogLevel[]

/** Lets pass what is severe enough, as the line itself says at its beginning. */
function atLeast(level: LogLevel, sink: LineSink): LineSink {
  const least = severity.indexOf(level)
  // Nobody writes finished lines of less than `info`, so that the usual setting costs nothing.
  if (least <= severity.indexOf('info')) return sink
  return {
    write: (line) => {
      const [, own = ''] = /^\{"level":"([a-z]+)"/.exec(line) ?? []
      if (severity.indexOf(own) >= least) sink.write(line)
    },
    flushSync: () => sink.flushSync(),
  }
}
