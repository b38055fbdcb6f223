import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defineConfig } from '../config.ts'
import { loadConfig } from '../load-config.ts'
import { planApp } from '../plan.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'forge-config-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const config = defineConfig({ name: 'app', features: [], options: { http: { port: 4000 } } })
const portOf = async (env: Record<string, string>): Promise<number> => (await planApp({ config, root, env })).http.port

describe('settings', () => {
  it('come from the environment, then .env, then the config, then the defaults', async () => {
    expect((await planApp({ config: { ...config, options: {} }, root, env: {} })).http.port).toBe(8080)
    expect(await portOf({})).toBe(4000)
    writeFileSync(join(root, '.env'), 'PORT=5000\n')
    expect(await portOf({})).toBe(5000)
    expect(await portOf({ PORT: '6000' })).toBe(6000)
  })

  it('do not come from .env in tests', async () => {
    writeFileSync(join(root, '.env'), 'PORT=5000\n')
    expect(await portOf({ NODE_ENV: 'test' })).toBe(4000)
  })

  it('in production are not what the sample file shows', async () => {
    const FORGE_SECRET = 'pL3x9-Qw7Zt2-vB8nM4-rK6jH1-sD5fG0'
    const env = { NODE_ENV: 'production', FORGE_SECRET }
    expect((await planApp({ config, root, env })).host.secret?.reveal()).toBe(FORGE_SECRET)
    writeFileSync(join(root, '.env.example'), `# FORGE_SECRET=${FORGE_SECRET}\n`)
    await expect(planApp({ config, root, env })).rejects.toThrow('FORGE_SECRET is a placeholder from a sample file')
  })
})

describe('forge.config', () => {
  it('takes the version of the app from its package.json', async () => {
    writeFileSync(join(root, 'package.json'), '{"version":"3.2.1"}')
    expect((await planApp({ config, root, env: {} })).app).toEqual({
      name: 'app',
      version: '3.2.1',
      environment: 'development',
      root,
    })
  })

  it('may be plain JavaScript', async () => {
    writeFileSync(join(root, 'forge.config.mjs'), `export default { name: 'plain', features: [] }`)
    expect(await loadConfig(root)).toEqual({ name: 'plain', features: [] })
  })

  it('must export what defineConfig makes, with a name that fits everywhere', async () => {
    await expect(loadConfig(root)).rejects.toThrow(`There is no forge.config.ts in ${root}`)
    writeFileSync(join(root, 'forge.config.mjs'), `export const config = {}`)
    await expect(loadConfig(root)).rejects.toThrow('must have `export default defineConfig')
    for (const name of ['', 'My App', '9lives', 'a'.repeat(64)]) {
      expect(() => defineConfig({ name, features: [] })).toThrow('lower case letters')
    }
  })
})
