import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { weakness } from '../../kernel/secret.ts'
import { developmentSecret } from '../secret-file.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'forge-secret-'))
})
afterEach(() => rmSync(root, { recursive: true }))

describe('developmentSecret', () => {
  it('makes a strong secret once and finds it again', () => {
    const secret = developmentSecret(root)
    expect(weakness(secret)).toBeUndefined()
    expect(developmentSecret(root)).toBe(secret)
  })

  it('keeps the file for its owner, also when somebody opened it up', () => {
    developmentSecret(root)
    const file = join(root, '.forge', 'secret')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    chmodSync(file, 0o644)
    developmentSecret(root)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(root, '.forge'))).toEqual(['secret'])
  })

  it('gives the same secret to processes that start together', async () => {
    const code = `import(process.argv[2]).then((m) => require('node:worker_threads').parentPort.postMessage(m.developmentSecret(process.argv[3])))`
    const module = new URL('../secret-file.ts', import.meta.url).href
    const secrets = await Promise.all(
      Array.from(
        { length: 8 },
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(code, { eval: true, argv: [module, root], execArgv: [] })
            worker.once('message', resolve).once('error', reject)
          }),
      ),
    )
    expect(new Set(secrets).size).toBe(1)
  })

  it('takes a file that a crash of the machine left empty for none', () => {
    mkdirSync(join(root, '.forge'), { recursive: true })
    writeFileSync(join(root, '.forge', 'secret'), '')
    const secret = developmentSecret(root)
    expect(secret).toHaveLength(43)
    expect(developmentSecret(root)).toBe(secret)
  })
})
