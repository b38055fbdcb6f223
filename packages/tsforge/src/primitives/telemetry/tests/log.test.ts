import { describe, expect, test } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { LineSink } from '../../../kernel/log.ts'
import { Secret } from '../../../kernel/options.ts'
import { createLog } from '../log.ts'
import { pretty } from '../pretty.ts'
import { createTelemetry } from '../telemetry.ts'

function collect(): LineSink & { readonly lines: string[]; flushed: number; last(): Record<string, unknown> } {
  const lines: string[] = []
  return {
    lines,
    flushed: 0,
    write: (line) => void lines.push(line),
    flushSync() {
      this.flushed++
    },
    last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown>,
  }
}

const clock = { ...systemClock, now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }

test('a line is one JSON object with level, time, bindings, fields and sentence', () => {
  const sink = collect()
  createLog({ level: 'info', sink, clock, bindings: { app: 'shop' } })
    .child({ part: 'mail' })
    .info({ n: 1 }, 'a "line"\nof two')
  expect(sink.lines).toEqual([
    `{"level":"info","time":"2026-01-02T03:04:05.006Z","app":"shop","part":"mail","n":1,"msg":"a \\"line\\"\\nof two"}\n`,
  ])
})

test('what is below the level is not written', () => {
  const sink = collect()
  const log = createLog({ level: 'warn', sink, clock })
  log.info({}, 'no')
  log.warn({}, 'yes')
  createLog({ level: 'silent', sink, clock }).fatal({}, 'no')
  expect(sink.lines).toHaveLength(1)
})

test('the current unit of work is in every line', () => {
  const sink = collect()
  const log = createLog({ level: 'info', sink, clock })
  const actor = { kind: 'user', id: 'u1' } as const
  const trace = { traceId: 't', spanId: 's', sampled: true }
  runWithContext(createContext({ requestId: 'r', tenantId: 'x', actor, trace }), () => log.info({}, 'in'))
  expect(sink.last()).toMatchObject({ request_id: 'r', tenant_id: 'x', actor_id: 'u1', trace_id: 't', span_id: 's' })
  log.info({}, 'out')
  expect(sink.last()).not.toHaveProperty('request_id')
})

test('fatal is written before it returns', () => {
  const sink = collect()
  createLog({ level: 'info', sink, clock }).fatal({ err: new Error('x') }, 'the end')
  expect(sink).toMatchObject({ flushed: 1 })
})

describe('secrets', () => {
  const secret = 'hunter2hunter2'
  test.each([
    { password: secret },
    { newPassword: secret },
    { headers: { Authorization: `Bearer ${secret}`, 'Set-Cookie': [secret] } },
    { deep: [{ er: { refresh_token: secret } }] },
    { apiKey: secret, client_secret: secret },
    { config: new Secret(secret) },
    { url: `postgres://app:${secret}@db/app` },
    { err: new Error(`connect postgres://app:${secret}@db/app`) },
    {
      err: Object.assign(new Error('duplicate key'), {
        code: '23505',
        detail: `Key (email)=(${secret})`,
        parameters: [secret],
      }),
    },
    { err: new Error('outer', { cause: Object.assign(new Error('inner'), { config: { auth: secret } }) }) },
    { map: new Map([['k', { token: secret }]]) },
    { body: Buffer.from(secret) },
  ])('are not printed: %#', (fields) => {
    const sink = collect()
    const log = createLog({ level: 'info', sink, clock })
    log.info(fields, 'x')
    log.child(fields).info({}, 'x')
    expect(sink.lines.join('')).not.toContain(secret)
    expect(sink.lines).toHaveLength(2)
  })

  test('names and counts of secrets are printed', () => {
    const sink = collect()
    createLog({ level: 'info', sink, clock }).info({ tokenId: 'a', token_count: 2, tokenType: 'Bearer' }, 'x')
    expect(sink.last()).toMatchObject({ tokenId: 'a', token_count: 2, tokenType: 'Bearer' })
  })
})

test('no object makes a line endless or breaks the log', () => {
  const sink = collect()
  const log = createLog({ level: 'info', sink, clock })
  const round: Record<string, unknown> = {
    big: 'x'.repeat(1e6),
    many: Array.from({ length: 1e5 }, (_, i) => i),
    n: 10n,
    f: () => 1,
  }
  round['self'] = round
  log.info(round, 'round')
  expect(sink.lines[0]!.length).toBeLessThan(200_000)
  log.info(
    {
      get bad() {
        throw new Error('no')
      },
    },
    'kept',
  )
  expect(sink.last()).toMatchObject({ msg: 'kept', unprintable: true })
})

test('an error is logged with its code, its cause and its stack', () => {
  const sink = collect()
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  createLog({ level: 'info', sink, clock }).error({ err: new TypeError('outer', { cause }) }, 'x')
  expect(sink.last()['err']).toMatchObject({ type: 'TypeError', message: 'outer', cause: { code: 'ECONNREFUSED' } })
  expect((sink.last()['err'] as { stack: string }).stack).toContain('log.test.ts')
})

test('a line for people cannot be forged by what is logged', () => {
  const line = pretty(
    `${JSON.stringify({ level: 'info', time: '2026-01-02T03:04:05.006Z', msg: 'a\n\u001b[2Jb', k: 'x\ny', n: 1 })}\n`,
  )
  expect(line).toBe('03:04:05.006 INFO  a\\u000a\\u001b[2Jb  k="x\\ny" n=1\n')
  expect(pretty('no json\n')).toBe('no json\n')
})

test('the access line goes through the same sink and form', () => {
  const sink = collect()
  const app = { name: 'shop', version: '1', environment: 'test' } as const
  const telemetry = createTelemetry({ level: 'info', pretty: true }, { app, clock, sink })
  telemetry.sink.write('{"level":"info","time":"2026-01-02T03:04:05.006Z","msg":"request"}\n')
  telemetry.log.info({}, 'hello')
  expect(sink.lines).toEqual(['03:04:05.006 INFO  request\n', '03:04:05.006 INFO  hello  app=shop version=1\n'])
})

test('objects that are entangled cost a bounded line, not the process', () => {
  const sink = collect()
  const knot: Record<string, unknown>[] = Array.from({ length: 40 }, () => ({}))
  for (const one of knot) for (const [i, other] of knot.entries()) one[`k${i}`] = other
  createLog({ level: 'info', sink, clock }).info({ knot }, 'tied')
  expect(sink.last()).toMatchObject({ msg: 'tied' })
  expect(sink.lines.at(-1)!.length).toBeLessThan(100_000)
})

test.each([
  ['info', ['info', 'warn']],
  ['warn', ['warn']],
  ['error', []],
  ['silent', []],
] as const)('at the level %s finished lines are those of the levels %j', (level, passed) => {
  const sink = collect()
  const app = { name: 'shop', version: '1.0.0', environment: 'test' } as const
  const telemetry = createTelemetry({ level, pretty: false }, { app, clock, sink })
  for (const own of ['info', 'warn']) telemetry.sink.write(`{"level":"${own}","msg":"request"}\n`)
  expect(sink.lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(passed)
  telemetry.sink.flushSync()
  expect(sink.flushed).toBe(1)
})
