import type { IncomingMessage } from 'node:http'
import { httpErrors } from './errors.ts'
import { Incoming } from './incoming.ts'
import type { BodySink } from './incoming.ts'
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

class Reader implements BodySink {
  readonly #receiver: BodyReceiver
  readonly #limit: number
  #first: Buffer | undefined = undefined
  #chunks: Buffer[] | undefined = undefined
  #size = 0

  constructor(receiver: BodyReceiver, limit: number) {
    this.#receiver = receiver
    this.#limit = limit
  }

  data(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (this.#size > this.#limit) {
      this.#receiver.failed(tooLarge(this.#limit))
      return false
    }
    if (this.#first === undefined) this.#first = chunk
    else (this.#chunks ??= [this.#first]).push(chunk)
    return true
  }

  end(): void {
    this.#receiver.body(
      this.#chunks === undefined ? (this.#first ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks, this.#size),
    )
  }
}

/** Collects at most `limit` bytes. */
export function readBody(req: IncomingMessage, limit: number, receiver: BodyReceiver): void {
  const reader = new Reader(receiver, limit)
  if (req instanceof Incoming && req.deliver(reader)) return
  const onData = (chunk: Buffer): void => {
    if (reader.data(chunk)) return
    req.off('data', onData)
    req.off('end', onEnd)
  }
  const onEnd = (): void => reader.end()
  req.on('data', onData)
  req.on('end', onEnd)
}
