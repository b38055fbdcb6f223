import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const app = new URL('../app.ts', import.meta.url).href
const cli = new URL('../main.ts', import.meta.url).href

/** Runs `code` with `stderrSink` and `main` at hand; its stdout and stderr are pipes. */
function run(code: string): ReturnType<typeof spawn> {
  const program = `const [{ stderrSink }, { main }] = [await import('${app}'), await import('${cli}')]; ${code}`
  return spawn(process.execPath, ['--input-type=module', '--conditions=source', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

test('log lines outlive the reader of stderr', async () => {
  const child = run(`
    const sink = await stderrSink()
    const told = new Promise((resolve) => process.once('SIGUSR2', resolve))
    setInterval(() => {}, 1000)
    process.stdout.write('ready')
    await told
    for (let i = 0; i < 50; i++) { sink.write('line\\n'); await new Promise((resolve) => setImmediate(resolve)) }
    process.stdout.write(' alive')
    process.exit(0)`)
  let out = ''
  child.stdout!.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    if (out !== 'ready') return
    child.stderr!.destroy()
    child.kill('SIGUSR2')
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ code, out }).toEqual({ code: 0, out: 'ready alive' })
})

test('what waits is written when the process ends', async () => {
  const child = run(`(await stderrSink()).write('last words\\n'); process.exit(0)`)
  let err = ''
  child.stderr!.on('data', (chunk: Buffer) => (err += chunk.toString()))
  await new Promise((resolve) => child.once('close', resolve))
  expect(err).toContain('last words\n')
})

test('a reader that has seen enough ends a command without a word', async () => {
  const child = run(`
    const told = new Promise((resolve) => process.once('SIGUSR2', resolve))
    const waiting = setInterval(() => {}, 1000)
    process.stderr.write('ready')
    await told
    clearInterval(waiting)
    await main(['--help'])`)
  let err = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    err += chunk.toString()
    if (err !== 'ready') return
    child.stdout!.destroy()
    child.kill('SIGUSR2')
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ code, err }).toEqual({ code: 0, err: 'ready' })
})
