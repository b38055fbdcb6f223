/**
 * README's table of measured claims, made from results.json between two markers. `--check` reports whether it is
 * current.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readResults } from './results.ts'
import type { Results } from './results.ts'

const readme = join(import.meta.dirname, '../README.md')
const open = '<!-- bench -->'
const close = '<!-- /bench -->'

/** How a claim reads. The last part of its name is the rival. */
const subjects: Readonly<Record<string, string>> = {
  'http.healthz': '`GET /healthz`, requests per second',
  'http.me': '`GET /me` (token and one select by key), requests per second',
  'http.echo': '`POST /echo` (1 KB, validated), requests per second',
  'http.start': 'start of the process to its first 200 (less is better)',
  'http.rss': 'resident memory after 250,000 requests (less is better)',
  'db.select': 'select by key through the repository, 16 in parallel',
  'jobs.drain': 'jobs drained per second, 100,000 waiting',
  'jobs.drain_20k': 'jobs drained per second, 20,000 waiting',
  'jobs.drain_history': 'the same with history kept',
  'jobs.bulk': 'jobs added in bulk per second',
  'jobs.seq': 'jobs added one by one per second',
  'jobs.wide': 'jobs added by 32 callers per second',
  'jobs.idle': 'from adding a job to its handler, median (less is better)',
  'jobs.idle_apart': 'the same, added by another process (less is better)',
  'jobs.held': 'jobs drained per second in the eighth round under a held snapshot',
  'jobs.claim': 'claims per second of 1,000,000 waiting jobs',
  jobs: 'dead row versions after a drain (less is better)',
  'jobs.cpu': 'processor time per drained job, client and server (less is better)',
  'events.dispatch': 'events handled per second, with a backlog',
  'events.emit': 'transactions per second that write a row and emit an event',
  'events.handler': 'from the commit to the handler, median (less is better)',
  'realtime.latency': 'from emitting to a reader beside 5,000 idle streams, median (of 20 ms)',
  'realtime.others': 'p99 of other routes beside 5,000 idle streams (of 50 ms)',
  'realtime.memory': 'resident memory of an idle stream (of 64 KiB)',
  'db.unit': 'unit of work of 3 statements, 16 in parallel',
  'cache.hot': 'hot values read without awaiting, per second of processor time',
  'cache.awaited': 'hot values awaited, per second of processor time',
  'cache.tiered': 'hot values read from memory before Redis, per second',
  'ratelimit.memory': 'decisions per second, memory',
  'ratelimit.redis': 'decisions per second, Redis',
  'ratelimit.leased': 'decisions per second, tokens leased from Redis',
  'quota.hot': 'takes per second of one hot tenant, 64 callers',
  'signatures.sign': 'webhooks of 2 KiB signed per second',
  'signatures.verify': 'webhooks of 2 KiB verified per second',
  'mail.pooled': 'mails sent per second, STARTTLS and sign-in',
}
const rivals: Readonly<Record<string, string>> = {
  raw: 'raw `node:http`',
  raw_set: 'raw `node:http`, whole set by hand',
  fastify: 'bare Fastify',
  fastify_set: 'Fastify, stock plugins',
  hono_set: 'Hono, comparable set',
  express_set: 'Express, comparable set',
  nest_set: 'NestJS, comparable set',
  pg_named: '`pg`, named statements',
  pg: '`pg`, statement by statement',
  graphile_worker: 'graphile-worker, local queue and batches',
  pg_boss: 'pg-boss, notifications and batches',
  bullmq_redis: 'BullMQ on Redis without fsync',
  bullmq_postgres: 'BullMQ on PostgreSQL',
  poller: 'a poller of 100 rows a second, by hand',
  insert: 'the same with a plain `insert` in place of the event',
  budget: '20 ms',
  first: 'the first round',
  million: 'of 1,000',
  dead_rows: 'jobs',
  promised: 'what is promised',
  lru_cache: 'lru-cache',
  redis: '`GET` by the package `redis`',
  rlf: 'rate-limiter-flexible',
  by_hand: 'a counter row, prepared by hand',
  connection_each: 'nodemailer, a connection for each mail',
}

/** The lines between the markers. */
export function tableOf(results: Results): string {
  const parts = Object.entries(results).map(([name, { claims, date, machine, node, generator }]) => {
    const rows = claims.map(({ claim, ratio, min, max }) => {
      const at = claim.lastIndexOf('.')
      const rival = claim.slice(at + 1)
      return `| ${subjects[claim.slice(0, at)] ?? claim.slice(0, at)} | ${rivals[rival] ?? rival} | **${ratio}** | ${min} – ${max} |`
    })
    return [
      `\`npm run bench -- ${name}\` (${date}; ${machine}; Node ${node}; ${generator}):`,
      '',
      '| what | against | ours ÷ theirs | rounds |',
      '| --- | --- | --- | --- |',
      ...rows,
    ].join('\n')
  })
  return `\n${parts.join('\n\n')}\n`
}

/** `text` with the current table, or `undefined` when it has no markers. */
function filled(text: string): string | undefined {
  const begin = text.indexOf(open)
  const end = text.indexOf(close)
  return begin < 0 || end < begin
    ? undefined
    : text.slice(0, begin + open.length) + '\n' + tableOf(readResults()) + text.slice(end)
}

export function writeTable(): void {
  const next = existsSync(readme) ? filled(readFileSync(readme, 'utf8')) : undefined
  if (next === undefined) console.error(`README.md has no ${open} … ${close}`)
  else writeFileSync(readme, next)
}

if (process.argv[1] === import.meta.filename) {
  if (!process.argv.includes('--check')) writeTable()
  else if (existsSync(readme) && filled(readFileSync(readme, 'utf8')) !== readFileSync(readme, 'utf8')) {
    console.error('README.md: the table of claims is stale: run `node bench/table.ts`')
    process.exitCode = 1
  }
}
