import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from 'tsforge/testing/redis-server'
import { appFolder, eventually, forgeBin } from './product.ts'

const repository = resolve(import.meta.dirname, '../..')

/** The script that this repository's `npm start` runs, and one as most people write it, behind a shell. */
const scripts = { exec: `exec '${forgeBin}' start`, shell: `'${forgeBin}' start; exit $?` }

async function startedByNpm(root: string, script: string) {
  writeFileSync(
    join(root, 'package.json'),
    JSON.stringify({ name: 'started', version: '1.0.0', scripts: { start: script } }),
  )
  const port = await freePort()
  const npm = spawn('npm', ['start'], {
    cwd: root,
    stdio: 'ignore',
    env: {
      ...process.env,
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      NODE_ENV: 'development',
      PORT: String(port),
    },
  })
  const exited = new Promise<number | null>((done) => npm.once('close', done))
  const serves = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    )
  await eventually(serves)
  return { npm, exited, gone: () => eventually(async () => !(await serves())) }
}

describe('an app started by npm', () => {
  it('is what this repository starts in the place of the shell', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    expect(scripts['start']).toMatch(/ exec forge start /)
    expect(scripts['dev']).toMatch(/^exec forge dev /)
  })

  it('stops with exit code 0 when npm is told to', async () => {
    await using folder = await appFolder()
    const { npm, exited, gone } = await startedByNpm(folder.root, scripts.exec)
    npm.kill('SIGTERM')
    expect(await exited).toBe(0)
    await gone()
  })

  it.each([
    ['a shell stands between and npm is told to stop', scripts.shell, 'SIGTERM'],
    ['npm is killed', scripts.exec, 'SIGKILL'],
  ] as const)('does not hold the port when %s', async (_case, script, signal) => {
    await using folder = await appFolder()
    const { npm, exited, gone } = await startedByNpm(folder.root, script)
    npm.kill(signal)
    await exited
    await gone()
  })
})
