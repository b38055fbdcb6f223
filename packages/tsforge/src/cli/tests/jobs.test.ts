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

describe('forge jobs', () => {
  // In a folder without an app: whatever is refused here was refused before anything was opened.
  it.each([
    [['show'], 'needs <id>'],
    [['show', 'x'], 'named by its number'],
    [['show', '0'], 'named by its number'],
    [['show', '1e3'], 'named by its number'],
    [['show', "1' or true--"], 'named by its number'],
    [['show', '9007199254740993'], 'named by its number'],
    [['show', '1', '2'], 'takes no "2"'],
    [['retry', '1', '--queue', 'mail'], 'retry takes no --queue'],
    [['cancel', '1', '--all'], 'cancel takes no --all'],
    [['ls', '--state', 'ded'], 'There is no state "ded". Did you mean "dead"?'],
    [['ls', '--state', 'dead,'], 'There is no state ""'],
    [['ls', '--limit', '0'], '--limit needs a whole number from 1 to 1000'],
    [['ls', '--limit', '1001'], '--limit needs a whole number from 1 to 1000'],
    [['ls', '--before', '-1'], '--before needs a whole number'],
    [['ls', '--tenant', 'acme'], 'a UUID'],
    [['ls', '--kind', 'k'.repeat(129)], 'at most 128 characters'],
    [['ls', '--dry-run'], 'ls takes no --dry-run'],
    [['stats', '--kind', 'a'], 'stats takes no --kind'],
    [['redrive'], 'Say which dead jobs'],
    [['redrive', '--all', '--kind', 'a'], 'Say which dead jobs'],
    [['redrive', '--state', 'dead'], 'redrive takes no --state'],
    [['redrive', '--kind', 'a', '--per-second', '0.5'], '--per-second needs a whole number'],
    [['redrive', '--kind', 'a', '--limit', 'all'], '--limit needs a whole number'],
    [['pause'], 'needs <queue>'],
    [['pause', 'a queue'], 'letters, digits'],
    [['resume', '../mail'], 'letters, digits'],
    [['schedules', 'lsit'], 'Did you mean "list"?'],
    [['schedules', 'toString'], 'schedules has no "toString"'],
    [['schedules', 'list', 'nightly'], 'schedules list takes no "nightly"'],
    [['schedules', 'pause'], 'schedules pause needs <name>'],
    [['schedules', 'run', 'a name'], 'letters, digits'],
    [['schedules', 'run', 'a', 'b'], 'takes no "b"'],
    [['schedules', 'preview', 'nightly', '--limit', '0'], '--limit needs a whole number from 1 to 1000'],
    [['schedules', '--queue', 'mail'], 'schedules takes no --queue'],
    [['redirve'], 'Did you mean "redrive"?'],
    [['constructor'], 'has no "constructor"'],
  ])('refuses %j before it opens anything, with a hint', async (args, hint) => {
    const { code, out, err } = await forge('jobs', ...args, '--cwd', '/')
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain(hint)
  })

  it('takes what is right as far as to the app', async () => {
    for (const args of [
      [],
      ['ls', '--state', 'dead,retrying', '--limit', '1000', '--before', '7'],
      ['redrive', '--dry-run'],
      ['redrive', '--all', '--per-second', '5'],
      ['pause', 'mail'],
      ['schedules'],
      ['schedules', 'preview', 'nightly', '--limit', '3'],
      ['show', '9007199254740991'],
    ]) {
      const { code, err } = await forge('jobs', ...args, '--cwd', '/')
      expect(code).toBe(1)
      expect(err).toContain('There is no forge.config.ts in /')
    }
  })
})

describe('forge worker', () => {
  it('takes no words', async () => {
    expect(await forge('worker', 'mail')).toMatchObject({ code: 2, err: expect.stringContaining('takes no "mail"') })
  })
})
