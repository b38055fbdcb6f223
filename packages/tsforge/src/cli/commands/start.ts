import { appIn, stderrSink } from '../app.ts'
import type { Command } from '../command.ts'

export const start: Command = {
  usage: '',
  flags: {},
  examples: ['forge start', 'PORT=8080 forge start --cwd apps/reference'],
  async run({ cwd, terminal }) {
    const app = await appIn(cwd, terminal.json ? await stderrSink() : undefined)
    const { attachToProcess } = await import('../../host/process.ts')
    attachToProcess(app)
    const { url } = await app.start()
    const { name, version, environment } = app.info
    // In production stdout belongs to the log, whose `listening` line says the same.
    if (environment === 'production' && !terminal.json) return
    const urls = { api: `${url}/`, docs: `${url}/docs`, openapi: `${url}/openapi.json`, ready: `${url}/readyz` }
    terminal.answer({ ok: true, name, version, environment, pid: process.pid, urls }, () =>
      [
        `${name} ${version} (${environment})`,
        terminal.table(Object.entries(urls).map(([what, where]) => [`  ${what}`, where])),
      ].join('\n'),
    )
  },
}
