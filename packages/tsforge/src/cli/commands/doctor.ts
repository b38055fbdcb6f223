import type { Command } from '../command.ts'
import { examine } from '../doctor/examine.ts'

export const doctor: Command = {
  usage: '',
  flags: {},
  examples: ['forge doctor', 'NODE_ENV=production forge doctor --json'],
  async run({ cwd, terminal }) {
    const findings = await examine(cwd)
    const ok = findings.every((finding) => finding.state !== 'failed')
    const mark = { ok: 'ok', warning: 'warn', failed: 'FAIL', skipped: 'skip' }
    terminal.answer({ ok, checks: findings }, () =>
      [
        terminal.table(findings.map(({ name, state, detail }) => [mark[state], name, detail])),
        ...findings.flatMap(({ name, fix }) => (fix === undefined ? [] : [`\n${name}: ${fix}`])),
        '',
        ok ? 'Everything is fine.' : 'Something needs attention.',
      ].join('\n'),
    )
    return ok ? 0 : 1
  },
}
