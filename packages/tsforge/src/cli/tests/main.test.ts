import { afterEach, describe, expect, it } from 'vitest'
import { commands } from '../commands.ts'
import { main } from '../main.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function forge(...args: string[]): Promise<Ran> {
  let out = ''
  let err = ''
  await main(args, { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) } })
  return { code: Number(process.exitCode ?? 0), out, err }
}

afterEach(() => {
  process.exitCode = 0
})

describe('forge', () => {
  it('lists every command', async () => {
    const { code, out } = await forge('--help')
    expect(code).toBe(0)
    for (const name of Object.keys(commands)) expect(out).toMatch(new RegExp(`^  ${name} `, 'm'))
  })

  it.each(Object.keys(commands))('explains %s, with examples', async (name) => {
    const { code, out } = await forge(name, '--help')
    expect(code).toBe(0)
    expect(out).toContain(`Usage: forge ${name}`)
    expect(out).toContain(`  forge ${name}`)
    expect(await forge('help', name)).toEqual({ code, out, err: '' })
  })

  it.each([
    [['strat'], 'Did you mean "start"?'],
    [['migrate', 'staus'], 'Did you mean "status"?'],
    [['migrate', '--dryrun'], 'Did you mean --dry-run?'],
    [['--jsn'], 'Unknown option --jsn'],
    [['migrate', 'up', 'now'], 'takes no "now"'],
    [['migrate', 'resolve', 'notes/0002'], 'needs <applied|pending>'],
    [['keys', 'revoke'], 'needs <kid>'],
    [['keys', 'revoke', 'a', 'b'], 'takes no "b"'],
    [['keys', 'toString'], 'has no "toString"'],
    [['routes', 'all'], 'takes no "all"'],
    [['openapi', '--out'], '--out needs a value'],
    [['openapi', '--json=yes'], '--json takes no value'],
  ])('answers %j with a hint and exit code 2', async (args, hint) => {
    const { code, out, err } = await forge(...args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(hint)
  })

  it('prints one JSON document and nothing else with --json, failures included', async () => {
    for (const args of [
      ['--json'],
      ['help', '--json'],
      ['--version', '--json'],
      ['start', '--help', '--json'],
      ['strat', '--json'],
    ]) {
      const { out, err } = await forge(...args)
      expect(() => JSON.parse(out)).not.toThrow()
      expect(err).toBe('')
    }
  })

  it('says what is missing in a folder without a config, with exit code 1', async () => {
    const { code, err } = await forge('routes', '--cwd', '/')
    expect(code).toBe(1)
    expect(err).toContain('There is no forge.config.ts in /')
  })
})
