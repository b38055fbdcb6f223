import { spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { createFileSink } from '../line-sink.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'forge-log-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('lines arrive complete and in order', async () => {
  const file = join(folder, 'log')
  const sink = createFileSink({ clock: systemClock, destination: file })
  const lines = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`)
  for (const line of lines) sink.write(line)
  await sink.close()
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''))
  expect(sink.dropped).toBe(0)
})

test('lines of every length and script arrive whole, around the size that is gathered', async () => {
  const file = join(folder, 'log')
  const sink = createFileSink({ clock: systemClock, destination: file })
  const lines = [1, 21_844, 21_845, 21_846, 65_535, 65_536, 200_000, 3].flatMap((length) =>
    ['x', 'é', '水', '😀'].map((text) => `${text.repeat(length / text.length)}\n`),
  )
  for (const line of lines) sink.write(line)
  await sink.close()
  expect(readFileSync(file, 'utf8')).toBe(lines.join(''))
})

test('a destination that takes nothing costs bounded memory: new lines are dropped, counted and reported', async () => {
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  // Nobody reads from it, so it is full after 64 KiB.
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  const sink = createFileSink({ clock: systemClock, destination: fd, maxWaiting: 200_000 })
  const line = `${'x'.repeat(999)}\n`
  for (let i = 0; i < 1000; i++) sink.write(line)
  expect(sink.dropped).toBe(800)
  const reader = spawn('cat', [pipe])
  let text = ''
  reader.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await sink.flush()
  sink.write('after\n')
  await sink.close()
  closeSync(fd)
  await new Promise((resolve) => reader.once('close', resolve))
  expect(text.split('\n').filter((each) => each === line.trim())).toHaveLength(200)
  expect(text).toContain('"dropped":800,"msg":"log lines were dropped')
  expect(text.endsWith('\n')).toBe(true)
})

const child = (end: string): string => `
  import { createFileSink } from ${JSON.stringify(new URL('../line-sink.ts', import.meta.url).href)}
  import { systemClock } from ${JSON.stringify(new URL('../../../kernel/clock.ts', import.meta.url).href)}
  const sink = createFileSink({ clock: systemClock })
  for (let i = 0; i < 5000; i++) sink.write('line ' + i + '\\n')
  ${end}`

test.each([
  ['the end of the work', '', 0],
  ['process.exit', 'process.exit(3)', 3],
  ['an uncaught exception', 'throw new Error("expected by the test")', 1],
  ['process.exit while a write is on its way', 'setTimeout(() => { sink.write("last\\n"); process.exit(4) }, 12)', 4],
])('%s loses no line', async (_, end, code) => {
  const run = spawn(process.execPath, ['--input-type=module-typescript', '-e', child(end)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  run.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const exit = await new Promise((resolve) => run.once('close', resolve))
  expect(exit).toBe(code)
  expect(text.split('\n').filter((line) => line.startsWith('line '))).toHaveLength(5000)
})

test('a closed sink takes nothing, and closing twice is fine', async () => {
  const sink = createFileSink({ clock: systemClock, destination: join(folder, 'log') })
  await sink.close()
  await sink.close()
  sink.write('late\n')
  sink.flushSync()
  expect(sink.dropped).toBe(1)
})
