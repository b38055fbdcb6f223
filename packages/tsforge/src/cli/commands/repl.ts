import { withApp } from '../app.ts'
import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'

export const repl: Command = {
  usage: '',
  flags: {
    eval: { type: 'string', short: 'e', value: '<code>', doc: 'Evaluate one expression, print its value and end' },
  },
  examples: ['forge repl', `forge repl -e "(await db.query('select count(*) from forge_accounts_users')).rows"`],
  async run({ cwd, flags, terminal }) {
    if (terminal.json && typeof flags['eval'] !== 'string')
      throw new UsageError('forge repl --json needs --eval <code>.')
    await withApp(cwd, async (app) => {
      await app.open()
      const names: Record<string, unknown> = { app }
      for (const [name, service] of Object.entries(app.services)) names[asIdentifier(name)] = service
      const { eval: code } = flags
      if (typeof code === 'string') {
        const value = await evaluate(code, names)
        const { inspect } = await import('node:util')
        terminal.answer({ ok: true, value: value ?? null }, () =>
          inspect(value, { depth: 4, colors: process.stdout.isTTY }),
        )
        return
      }
      const { start } = await import('node:repl')
      terminal.line(
        `${app.info.name} ${app.info.version} (${app.info.environment}). At hand: ${Object.keys(names).join(', ')}`,
      )
      const prompt = start({ prompt: `${app.info.name}> ` })
      Object.assign(prompt.context, names)
      await new Promise((resolve) => prompt.once('exit', resolve))
    })
  },
}

/** `jobs-api` as `jobsApi`. */
function asIdentifier(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_$]+([A-Za-z0-9])?/g, (_, next: string | undefined) => next?.toUpperCase() ?? '')
}

/** An expression, or statements with `return`; both may await. */
async function evaluate(code: string, names: Readonly<Record<string, unknown>>): Promise<unknown> {
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...values: unknown[]) => Promise<unknown>
  const compiled = (body: string): ((...values: unknown[]) => Promise<unknown>) =>
    new AsyncFunction(...Object.keys(names), body)
  let run
  try {
    run = compiled(`return (${code}\n)`)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    run = compiled(code)
  }
  return run(...Object.values(names))
}
