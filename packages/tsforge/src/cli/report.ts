import { ForgeError } from '../kernel/errors.ts'
import { UsageError } from './command.ts'
import type { Terminal } from './terminal.ts'

/** Tells why a command failed: one sentence and the fix; the stack only when asked for by `FORGE_DEBUG=1`. */
export function report(error: unknown, terminal: Terminal): void {
  const code = error instanceof ForgeError ? error.code : error instanceof UsageError ? 'usage' : 'failed'
  const message = error instanceof Error ? error.message : String(error)
  const fix =
    error instanceof ForgeError
      ? error.spec.fix
      : error instanceof UsageError
        ? 'Run forge --help to see what there is.'
        : undefined
  if (terminal.json) {
    terminal.answer({ ok: false, error: { code, message, ...(fix !== undefined && { fix }) } })
    return
  }
  terminal.note(message)
  if (fix !== undefined) terminal.note(fix)
  if (process.env['FORGE_DEBUG'] === '1' && error instanceof Error) terminal.note(error.stack ?? '')
}
