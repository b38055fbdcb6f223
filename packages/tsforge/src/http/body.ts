import type { IncomingMessage } from 'node:http'
import { httpErrors } from './errors.ts'
import { remembering } from './recent.ts'

/** Whether the request announces a body at all. */
export function announcesBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length']
  return (length !== undefined && length !== '0') || req.headers['transfer-encoding'] !== undefined
}

/** Whether some of an announced body has not come yet. What is injected ends, but never says that it is complete. */
export function isComing(req: IncomingMessage): boolean {
  return !req.complete && !req.readableEnded
}

const isJson = remembering((contentType: string) => {
  const [type = '', ...parameters] = contentType.split(';', 16)
  if (!/^application\/(?:[a-z0-9.!#$&^_-]{1,100}\+)?json$/i.test(type.trim())) return false
  return parameters.every((parameter) => {
    const match = /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(parameter)
    return match === null || /^utf-?8$/i.test(match[1]!)
  })
})

/** Throws 415 unless the body is uncompressed JSON in UTF-8, 413 when it says that it is too long. */
export function checkBodyHeaders(req: IncomingMessage, limit: number): void {
  const { headers } = req
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw httpErrors.error('http.encoding_unsupported', { headers: { 'accept-encoding': 'identity' } })
  }
  const type = headers['content-type']
  if (type === undefined || !isJson(type))
    throw httpErrors.error('http.media_type_unsupported', { headers: { accept: 'application/json' } })
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
}

export function tooLarge(limit: number): Error {
  return httpErrors.error('http.body_too_large', { meta: { limit } })
}

/** Who receives a body. Callers that go in the middle of it are told of by their connection. */
export interface BodyReceiver {
  body(bytes: Buffer): void
  failed(error: Error): void
}

const reader = Symbol('body reader')
type Read = IncomingMessage & { [reader]?: Reader | undefined }

class Reader {
  readonly receiver: BodyReceiver
  readonly limit: number
  first: Buffer | undefined = undefined
  chunks: Buffer[] | undefined = undefined
  size = 0

  constructor(receiver: BodyReceiver, limit: number) {
    this.receiver = receiver
    this.limit = limit
  }
}

/** Collects at most `limit` bytes. The listeners are shared functions, so a request costs one small object. */
export function readBody(req: IncomingMessage, limit: number, receiver: BodyReceiver): void {
  ;(req as Read)[reader] = new Reader(receiver, limit)
  req.on('data', onData)
  req.on('end', onEnd)
}

function onData(this: Read, chunk: Buffer): void {
  const read = this[reader]
  if (read === undefined) return
  read.size += chunk.length
  if (read.size > read.limit) {
    this[reader] = undefined
    read.receiver.failed(tooLarge(read.limit))
  } else if (read.first === undefined) read.first = chunk
  else (read.chunks ??= [read.first]).push(chunk)
}

function onEnd(this: Read): void {
  const read = this[reader]
  if (read === undefined) return
  this[reader] = undefined
  read.receiver.body(
    read.chunks === undefined ? (read.first ?? Buffer.alloc(0)) : Buffer.concat(read.chunks, read.size),
  )
}
