import type { App } from './app.ts'

/** Exit code of a process that had to give up. */
const failed = 1

/** How often a process that npm started looks whether npm still lives. */
const launcherCheckMs = 100

/**
 * Ties an app to its process. The first SIGTERM or SIGINT stops it gracefully and ends with exit code 0, a
 * second one skips the grace period; a fault that nobody handled is logged and ends the process at once,
 * since nothing is known about its state any more.
 */
export function attachToProcess(app: App): void {
  let stopping: Promise<void> | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping !== undefined) return app.hurry()
    app.log.info({ signal }, 'stopping')
    stopping = app.stop().then(
      () => process.exit(0),
      (error: unknown) => die(error, 'stopping failed'),
    )
  }
  const die = (error: unknown, message: string): void => {
    try {
      app.log.fatal({ err: error }, message)
    } finally {
      app.flush()
      process.exit(failed)
    }
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', (error) => die(error, 'uncaught exception'))
  process.on('unhandledRejection', (reason) => die(reason, 'unhandled rejection'))
  onLauncherGone(() => onSignal('SIGTERM'))
}

/**
 * npm runs a script in a shell, which takes a signal meant for the app and ends without passing it on. An app
 * whose launcher has gone stops as if it had been told, instead of holding the port for ever.
 */
function onLauncherGone(act: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return
  const launcher = process.ppid
  const check = setInterval(() => {
    if (process.ppid === launcher) return
    clearInterval(check)
    act()
  }, launcherCheckMs).unref()
}
