import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { withApp } from '../app.ts'
import type { Command } from '../command.ts'

export const openapi: Command = {
  usage: '',
  flags: { out: { type: 'string', value: '<file>', doc: 'Write to a file instead of stdout' } },
  examples: ['forge openapi > openapi.json', 'forge openapi --out sdk/openapi.json'],
  async run({ cwd, flags, terminal }) {
    const document = await withApp(cwd, async (app) => app.http.document())
    const text = JSON.stringify(document, null, 2)
    const { out } = flags
    if (typeof out !== 'string') {
      terminal.answer(document, () => text)
      return
    }
    const file = resolve(cwd, out)
    writeFileSync(file, `${text}\n`)
    terminal.answer({ ok: true, file }, () => `wrote ${file}`)
  },
}
