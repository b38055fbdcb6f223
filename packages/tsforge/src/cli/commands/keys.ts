import { withApp } from '../app.ts'
import type { Command } from '../command.ts'

export const keys: Command = {
  usage: '[list|rotate|revoke]',
  words: {
    list: 'Show the signing keys (the default)',
    rotate: 'Sign with the next key from now on; the old one keeps verifying',
    revoke: { doc: 'Refuse everything that a key has signed, at once (for a leaked key)', takes: ['<kid>'] },
  },
  flags: { now: { type: 'boolean', doc: 'Rotate although caches may not know the next key yet (for a leaked key)' } },
  examples: ['forge keys', 'forge keys rotate', 'forge keys rotate --now', 'forge keys revoke M0K4TXAwsyC24BPPIhZQrw'],
  async run({ cwd, words, flags, terminal }) {
    const { keysPort } = await import('../../primitives/keys/index.ts')
    await withApp(cwd, async (app) => {
      await app.open()
      const service = app.get(keysPort)
      if (words[0] === 'rotate') {
        const rotation = await service.rotate({ now: flags['now'] === true })
        terminal.answer({ ok: true, ...rotation }, () =>
          rotation.rotated
            ? `${rotation.active} signs now; ${rotation.next} comes next`
            : `somebody else has just rotated; ${rotation.active} signs now`,
        )
        return
      }
      if (words[0] === 'revoke') {
        const kid = words[1] as string
        await service.revoke(kid)
        terminal.answer({ ok: true, revoked: kid }, () => `${kid} verifies nothing any more`)
        return
      }
      const list = await service.list()
      terminal.answer({ keys: list }, () =>
        terminal.table([
          ['KEY', 'ALGORITHM', 'STATE', 'CREATED', 'VERIFIES UNTIL'],
          ...list.map((key) => [
            key.kid,
            key.algorithm,
            key.state,
            key.createdAt.toISOString(),
            key.expiresAt?.toISOString() ?? '-',
          ]),
        ]),
      )
    })
  },
}
