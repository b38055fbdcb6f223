// node:http with the whole set written by hand: what is physically left for a framework to lose.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import SonicBoom from 'sonic-boom'
import { findPerson, pool, readJson, subjectOf } from './by-hand.js'
import { isOrder, origin, port } from './facts.js'

const out = new SonicBoom({ fd: 1, sync: false, minLength: 4096 })
const requestIdPattern = /^[\w-]{1,64}$/
const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const counts = new Map()

const policy = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'SAMEORIGIN',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
  vary: 'Origin',
}

function observe(route, seconds) {
  let histogram = counts.get(route)
  if (histogram === undefined)
    counts.set(route, (histogram = { buckets: new Float64Array(buckets.length + 1), sum: 0, count: 0 }))
  let index = 0
  while (index < buckets.length && seconds > buckets[index]) index++
  histogram.buckets[index]++
  histogram.sum += seconds
  histogram.count++
}

function render() {
  return [...counts]
    .map(
      ([route, { count, sum }]) =>
        `http_request_duration_seconds_count{route="${route}"} ${count}\nhttp_request_duration_seconds_sum{route="${route}"} ${sum}\n`,
    )
    .join('')
}

function send(state, status, value) {
  const { request, response, id, begun } = state
  const body = typeof value === 'string' ? value : JSON.stringify(value)
  const headers = {
    ...policy,
    'x-request-id': id,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  }
  if (request.headers.origin === origin) headers['access-control-allow-origin'] = origin
  response.writeHead(status, headers)
  response.end(body)
  const seconds = (performance.now() - begun) / 1000
  observe(request.url, seconds)
  out.write(
    `{"level":30,"time":${Date.now()},"request_id":"${id}","method":"${request.method}","url":${JSON.stringify(request.url)},"status":${status},"ms":${(seconds * 1000).toFixed(3)}}\n`,
  )
}

const server = createServer((request, response) => {
  const given = request.headers['x-request-id']
  const id = given !== undefined && requestIdPattern.test(given) ? given : randomUUID()
  const state = { request, response, id, begun: performance.now() }
  if (request.method === 'GET' && request.url === '/healthz') return send(state, 200, { status: 'ok' })
  if (request.method === 'GET' && request.url === '/me') {
    const subject = subjectOf(request.headers.authorization)
    if (subject === undefined) return send(state, 401, { error: 'unauthorized' })
    return void findPerson(subject).then(
      (person) => send(state, 200, person),
      () => send(state, 500, { error: 'internal' }),
    )
  }
  if (request.method === 'POST' && request.url === '/echo') {
    return readJson(request, (value) => {
      if (value === null) return send(state, 413, { error: 'too large' })
      if (!isOrder(value)) return send(state, 400, { error: 'invalid' })
      send(state, 200, value)
    })
  }
  if (request.url === '/metrics') return send(state, 200, render())
  send(state, 404, { error: 'not found' })
})

await pool.query('select 1')
server.listen(port, '127.0.0.1')
process.on('SIGTERM', () => {
  out.flushSync()
  process.exit(0)
})
