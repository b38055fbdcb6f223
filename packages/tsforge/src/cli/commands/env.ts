import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from '../command.ts'

export const env: Command = {
  usage: '',
  flags: {
    write: { type: 'boolean', doc: 'Write .env.example' },
    check: { type: 'boolean', doc: 'Fail when .env.example is not what would be written' },
  },
  examples: ['forge env', 'forge env --write', 'forge env --check'],
  async run({ cwd, flags, terminal }) {
    const [{ loadConfig }, { featuresOf }, { arrange }, { schemasOf }, { envExample }] = await Promise.all([
      import('../../host/load-config.ts'),
      import('../../host/config.ts'),
      import('../../host/arrange.ts'),
      import('../../host/plan.ts'),
      import('../../kernel/option-docs.ts'),
    ])
    const config = await loadConfig(cwd)
    const schemas = schemasOf(await arrange(featuresOf(config)))
    const text = envExample(schemas)
    const file = join(cwd, '.env.example')
    if (flags['check'] === true) {
      const ok = existsSync(file) && readFileSync(file, 'utf8') === text
      terminal.answer({ ok, file }, () => (ok ? `${file} is up to date` : `${file} is stale; run forge env --write`))
      return ok ? 0 : 1
    }
    if (flags['write'] === true) {
      writeFileSync(file, text)
      terminal.answer({ ok: true, file }, () => `wrote ${file}`)
      return 0
    }
    const settings = Object.entries(schemas).flatMap(([module, schema]) =>
      Object.values(schema).map((field) => ({
        module,
        name: field.env,
        type: field.type.replaceAll('\\', ''),
        required: !field.hasDefault,
        secret: field.secret,
        default: field.defaultText ?? null,
        doc: field.doc,
      })),
    )
    terminal.answer({ settings }, () => text.trimEnd())
    return 0
  },
}
