import { afterEach, describe, expect, it } from 'vitest'
import { main } from '../main.ts'

async function forge(...args: string[]) {
  let out = ''
  let err = ''
  await main(args, { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) } })
  return { code: Number(process.exitCode ?? 0), out, err }
}
afterEach(() => {
  process.exitCode = 0
})

const id = '0197d7a0-0000-7000-8000-000000000001'

describe('forge events', () => {
  // In a folder without an app: whatever is refused here was refused before anything was opened.
  it.each([
    [['show'], 'needs <subscription>'],
    [['show', 's'], 'needs <id>'],
    [['show', 's', '1'], 'a UUID'],
    [['retry', 's', id, '--all'], 'retry takes no --all'],
    [['ls', '--limit', '1001'], '--limit needs a whole number from 1 to 1000'],
    [['ls', '--type', 'Order'], 'takes a kind of event'],
    [['ls', '--after', '12'], 'takes a position'],
    [['ls', '--waiting'], 'ls takes no --waiting'],
    [['dead', '--tenant', 'acme'], 'a UUID'],
    [['dead', '--type', 't'.repeat(129)], '1 to 128 characters'],
    [['subscriptions', '--type', 'a'], 'subscriptions takes no --type'],
    [['redrive'], 'Say which dead events'],
    [['redrive', '--all', '--type', 'a'], 'Say which dead events'],
    [['redrive', '--all', '--per-second', '0'], '--per-second needs a whole number'],
    [['replay', 's'], 'Say from where'],
    [['replay', 's', '--from-start', '--after', '000000000012-0000000000000345'], 'Say from where'],
    [['replya'], 'Did you mean "replay"?'],
  ])('refuses %j before it opens anything, with a hint', async (args, hint) => {
    const { code, out, err } = await forge('events', ...args, '--cwd', '/')
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(hint)
  })

  it('takes what is right as far as to the app', async () => {
    for (const args of [
      [],
      ['ls', '--type', 'order.**', '--limit', '1000', '--after', '000000000012-0000000000000345'],
      ['dead', '--waiting', '--subscription', 's'],
      ['show', 's', id],
      ['redrive', '--all', '--per-second', '5'],
      ['replay', 's', '--from-start'],
    ]) {
      const { code, err } = await forge('events', ...args, '--cwd', '/')
      expect(code).toBe(1)
      expect(err).toContain('There is no forge.config.ts in /')
    }
  })
})
