/** Structured application log. `fields` come first so that the sentence can stay constant. */
export interface Log {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  /** Written synchronously: the process may be about to end. */
  fatal(fields: Readonly<Record<string, unknown>>, message: string): void
  child(fields: Readonly<Record<string, unknown>>): Log
}

/** Where finished lines go: bounded, asynchronous, flushed on exit. */
export interface LineSink {
  /** Takes one line, newline included. Never blocks; counts what it has to drop. */
  write(line: string): void
  flushSync(): void
}

const ignore = (): void => {}

/** Drops everything. */
export const silentLog: Log = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  child: () => silentLog,
}
