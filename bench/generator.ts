/**
 * Load without wrk: keep-alive connections that write prepared bytes and read no more of an answer than its status
 * and length, so that the generator costs less than any server that it measures.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

interface Job {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  readonly method: string
  readonly path: string
  readonly headers: readonly Readonly<Record<string, string>>[]
  readonly body?: string
}

const job = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Job
const prepared = job.headers.map((headers) => bytesOf(headers))
let turn = 0
let requests = 0
let errors = 0
let running = true

function bytesOf(headers: Readonly<Record<string, string>>): Buffer {
  const body = job.body ?? ''
  const lines = [
    `${job.method} ${job.path} HTTP/1.1`,
    `host: 127.0.0.1:${job.port}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  if (body !== '') lines.push(`content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

function open(): void {
  const socket = connect(job.port, '127.0.0.1')
  let held = ''
  let missing = 0
  const send = (): void => void socket.write(prepared[turn++ % prepared.length]!)
  const finish = (): void => {
    requests++
    if (running) send()
    else socket.end()
  }
  socket.setNoDelay(true)
  socket.on('connect', send)
  socket.on('data', (chunk) => {
    if (missing > 0) {
      missing -= chunk.length
      if (missing <= 0) finish()
      return
    }
    held += chunk.toString('latin1')
    const end = held.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = held.slice(0, end).toLowerCase()
    const length = head.indexOf('\r\ncontent-length:')
    if (length < 0 && !held.endsWith('0\r\n\r\n')) return
    if (!head.startsWith('http/1.1 200')) errors++
    missing = length < 0 ? 0 : Number.parseInt(head.slice(length + 17), 10) - (held.length - end - 4)
    held = ''
    if (missing <= 0) finish()
  })
  socket.on('error', () => {
    errors++
  })
  // A server may close a connection that has served long enough.
  socket.on('close', () => {
    if (running) open()
  })
}

for (let index = 0; index < job.connections; index++) open()
const begun = performance.now()
setTimeout(() => {
  running = false
  const seconds = (performance.now() - begun) / 1000
  process.stdout.write(JSON.stringify({ requests, errors, seconds }), () => process.exit(0))
}, job.seconds * 1000)
