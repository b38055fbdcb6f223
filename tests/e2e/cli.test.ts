import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appFolder, eventually, forge, forgeBin, launch } from './product.ts'
import type { AppFolder } from './product.ts'

let folder: AppFolder
beforeAll(async () => {
  folder = await appFolder()
})
afterAll(() => folder[Symbol.asyncDispose]())

const json = async (...args: string[]): Promise<unknown> => {
  const ran = await forge(folder.root, [...args, '--json'])
  if (ran.code !== 0 || ran.json === undefined) throw new Error(`exit code ${ran.code}\n${ran.out}\n${ran.err}`)
  return ran.json
}

describe('forge', () => {
  it('finds a fresh checkout healthy, and needs no database to describe it', async () => {
    expect(await json('routes')).toMatchObject({
      routes: expect.arrayContaining([expect.objectContaining({ url: '/api/v1/notes', access: 'notes.read' })]),
    })
    expect(await json('openapi')).toMatchObject({ openapi: expect.stringMatching(/^3\.1/), paths: { '/healthz': {} } })
    expect(await json('env')).toMatchObject({
      settings: expect.arrayContaining([expect.objectContaining({ name: 'PORT', required: false })]),
    })
    expect(await json('env', '--check')).toMatchObject({ ok: true })
    expect(existsSync(join(folder.root, '.forge/postgres'))).toBe(false)

    const { ok, checks } = (await json('doctor')) as { ok: boolean; checks: { name: string; state: string }[] }
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([])
    expect(ok).toBe(true)
    expect(checks.map(({ name }) => name)).toEqual([
      'node',
      'config',
      'state folder',
      'secret',
      'proxies',
      'port',
      'setup',
      'database',
      'clock',
      'migrations',
      'drift',
      'keys',
      'jobs',
      'events',
      'storage',
      'webhooks-in',
      'mailer',
      'ratelimit',
      'quota',
      'idempotency',
      'cache',
    ])
  })

  it('applies, reverts and inspects migrations, and sees drift', async () => {
    const pending = (await json('migrate', 'up', '--dry-run')) as { dryRun: boolean; steps: { id: string }[] }
    expect(pending.dryRun).toBe(true)
    const ids = pending.steps.map((step) => step.id)
    expect(ids).toContain('notes/0001_notes')
    expect(((await json('migrate')) as { steps: { id: string }[] }).steps.map((step) => step.id)).toEqual(ids)
    expect(((await json('migrate', 'down')) as { steps: { id: string }[] }).steps.map((step) => step.id)).toEqual([
      ids.at(-1),
    ])
    const { migrations } = (await json('migrate', 'status')) as { migrations: { id: string; state: string }[] }
    expect(migrations.filter(({ state }) => state === 'pending').map(({ id }) => id)).toEqual([ids.at(-1)])
    await json('migrate', 'up')
    expect(await json('migrate', 'drift')).toEqual({ ok: true, drift: [] })

    appendFileSync(join(folder.root, 'features/notes/migrations/0001_notes.up.sql'), '\n-- edited later\nselect 1;\n')
    const drifted = await forge(folder.root, ['migrate', 'drift', '--json'])
    expect(drifted).toMatchObject({ code: 1, json: { ok: false, drift: [{ kind: 'edited', id: 'notes/0001_notes' }] } })
  })

  it('reverts everything that it can apply', async () => {
    await using own = await appFolder()
    const run = async (...args: string[]) =>
      (await forge(own.root, [...args, '--json'])).json as { steps: { id: string }[] }
    const up = (await run('migrate')).steps
    expect((await run('migrate', 'down', '--steps', String(up.length))).steps).toHaveLength(up.length)
    expect((await run('migrate')).steps.map(({ id }) => id)).toEqual(up.map(({ id }) => id))
  })

  it('evaluates an expression with the services at hand', async () => {
    await using own = await appFolder()
    const ran = await forge(own.root, [
      'repl',
      '--json',
      '--eval',
      "(await db.query('select 20 + 22 as answer')).rows[0].answer",
    ])
    expect(ran).toMatchObject({ code: 0, json: { ok: true, value: 42 } })
    expect(await forge(own.root, ['repl', '--json', '--eval', 'typeof jobsApi'])).toMatchObject({ code: 0 })
    expect(await forge(own.root, ['repl', '--eval', 'nobody.home'])).toMatchObject({ code: 1, out: '' })
  })

  it('lists every fault of the configuration, and the doctor does too', async () => {
    const env = {
      NODE_ENV: 'production',
      DATABASE_URL: 'mysql://db',
      PORT: 'http',
      FORGE_SECRET: 'secret',
      FORGE_DRAIN_GRACE: 'long',
    }
    const start = await forge(folder.root, ['start'], env)
    expect(start.code).toBe(1)
    for (const name of ['PORT', 'FORGE_SECRET', 'FORGE_DRAIN_GRACE', 'DATABASE_URL']) expect(start.err).toContain(name)
    const doctor = await forge(folder.root, ['doctor', '--json'], env)
    expect(doctor.code).toBe(1)
    const { checks } = doctor.json as { checks: { name: string; state: string; detail: string }[] }
    expect(checks.filter(({ name, state }) => name === 'config' && state === 'failed').length).toBeGreaterThanOrEqual(4)
  })

  it('in production refuses to start over pending migrations', async () => {
    await using own = await appFolder()
    const env = {
      NODE_ENV: 'production',
      FORGE_SECRET: 'pL3x9-Qw7Zt2-vB8nM4-rK6jH1-sD5fG0',
      FORGE_DB_EMBEDDED_IN_PRODUCTION: 'true',
      FORGE_STORAGE_DRIVER: 'disk',
      FORGE_MAILER_DRIVER: 'log',
      MAIL_FROM: 'no-reply@acme.test',
      FORGE_KEYS_ISSUER: 'https://api.acme.test',
    }
    await expect(launch({ root: own.root, env })).rejects.toThrow('boot.migrations_pending')
    await using product = await launch({
      root: own.root,
      env: { ...env, FORGE_MIGRATE: 'auto', FORGE_DRAIN_GRACE: '0' },
    })
    expect((await product.ask('GET', '/readyz')).status).toBe(200)
    expect((await product.ask('GET', '/metrics')).status).toBe(404)
  })

  it('logs what nobody handled and ends with exit code 1', async () => {
    await using own = await appFolder()
    const config = join(own.root, 'forge.config.ts')
    writeFileSync(
      config,
      readFileSync(config, 'utf8').replace(
        'accounts(),',
        `{ name: 'bomb', setup: () => undefined, start: () => void process.once('SIGUSR2', () => void Promise.reject(new Error('tick tock'))) }, accounts(),`,
      ),
    )
    await using product = await launch({ root: own.root })
    product.kill('SIGUSR2')
    expect(await product.exited).toEqual({ code: 1, signal: null })
    expect(product.log()).toContain('"level":"fatal"')
    expect(product.log()).toContain('tick tock')
  })
})

describe('forge dev', () => {
  it('restarts on a change, and stops with its app', async () => {
    await using own = await appFolder()
    const child = spawn(process.execPath, [forgeBin, 'dev', '--cwd', own.root], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: own.root, PORT: '0' },
    })
    const exited = new Promise<number | null>((done) => child.once('exit', done))
    try {
      let out = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (out += text))
      const urls = (): string[] => [...out.matchAll(/api +(http:\/\/\S+)\/$/gm)].map(([, url]) => url as string)
      await eventually(() => urls().length === 1)
      mkdirSync(join(own.root, '.forge/ignored'), { recursive: true })
      writeFileSync(join(own.root, '.forge/ignored/file.ts'), '')
      appendFileSync(join(own.root, 'forge.config.ts'), '\n// changed\n')
      await eventually(() => urls().length === 2)
      expect(out).toContain('forge.config.ts has changed; restarting.')
      expect(out).not.toContain('file.ts has changed')
      const url = urls()[1] as string
      expect((await fetch(`${url}/readyz`)).status).toBe(200)
      child.kill('SIGTERM')
      expect(await exited).toBe(0)
      await expect(fetch(`${url}/readyz`)).rejects.toThrow('fetch failed')
    } finally {
      child.kill('SIGKILL')
    }
  })
})
