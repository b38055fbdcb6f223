import { createHash } from 'node:crypto'
import type { CompletedPart } from '@aws-sdk/client-s3'
import type { DriverPut, ObjectHeaders } from '../../driver.ts'
import { storageErrors } from '../../errors.ts'
import type { Connection } from './connection.ts'
import { spoken } from './faults.ts'
import { Buffers, partBytesFor, partsOf } from './parts.ts'
import type { Part } from './parts.ts'

/** Parts on their way at once, besides the one that is being filled: memory counts for more than the last bit of speed. */
const inFlight = 1
const smallestBuffer = 64 * 1024
const maxParts = 10_000

export interface Upload {
  readonly connection: Connection
  readonly bucket: string
  readonly key: string
  readonly partBytes: number
}

/** Reserved name: the SHA-256 of an object whose bytes were known before it was sent. */
export const digestName = 'forge-sha256'

export interface S3Headers {
  readonly ContentType: string
  readonly ContentDisposition?: string
  readonly CacheControl?: string
  readonly Metadata: Record<string, string>
}

export function headersOf(
  { contentType, contentDisposition, cacheControl, metadata }: ObjectHeaders,
  sha256?: string,
): S3Headers {
  return {
    ContentType: contentType,
    ...(contentDisposition !== undefined && { ContentDisposition: contentDisposition }),
    ...(cacheControl !== undefined && { CacheControl: cacheControl }),
    Metadata: { ...metadata, ...(sha256 !== undefined && { [digestName]: sha256 }) },
  }
}

/** Stores a body: at once when it fits into one part, else in parts that are given up together. */
export async function upload(target: Upload, body: AsyncIterable<Buffer>, options: DriverPut): Promise<void> {
  const partBytes = partBytesFor(options.size, target.partBytes)
  // A short body needs no long buffer.
  const bufferBytes = Math.max(smallestBuffer, Math.min(partBytes, options.size ?? partBytes))
  const buffers = new Buffers(inFlight + 1, bufferBytes)
  const parts = partsOf(body, bufferBytes, () => buffers.take())
  try {
    const first = (await parts.next()).value as Part
    if (first.last) await putAtOnce(target, first.bytes, options)
    else await putInParts(target, first, parts, buffers, options)
  } finally {
    // Lets go of the source, however this ends.
    await parts.return(undefined)
  }
}

async function putAtOnce({ connection, bucket, key }: Upload, bytes: Buffer, options: DriverPut): Promise<void> {
  const { sdk, client } = connection
  const sha256 = options.sha256 ?? createHash('sha256').update(bytes).digest('hex')
  const command = new sdk.PutObjectCommand({
    ...headersOf(options, sha256),
    Bucket: bucket,
    Key: key,
    Body: bytes,
    ContentLength: bytes.length,
    ContentMD5: createHash('md5').update(bytes).digest('base64'),
    ...(options.createOnly && { IfNoneMatch: '*' }),
  })
  await spoken(client.send(command, abortable(options.signal)), options.createOnly)
}

async function putInParts(
  target: Upload,
  first: Part,
  rest: AsyncGenerator<Part>,
  buffers: Buffers,
  options: DriverPut,
): Promise<void> {
  const { connection, bucket, key } = target
  const { sdk, client } = connection
  const place = { Bucket: bucket, Key: key }
  const headers = headersOf(options, options.sha256)
  const begun = await spoken(client.send(new sdk.CreateMultipartUploadCommand({ ...headers, ...place })))
  const upload = { ...place, UploadId: begun.UploadId! }
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const done: CompletedPart[] = []
  const running = new Set<Promise<void>>()
  let failure: unknown
  const send = (bytes: Buffer, number: number): void => {
    const digest = createHash('md5').update(bytes).digest('base64')
    const command = new sdk.UploadPartCommand({
      ...upload,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
      ContentMD5: digest,
    })
    const sent = spoken(client.send(command, { abortSignal: signal })).then(
      ({ ETag }) => void done.push({ PartNumber: number, ETag }),
      (error: unknown) => {
        failure ??= error
        stop.abort()
      },
    )
    const tracked: Promise<void> = sent.finally(() => {
      running.delete(tracked)
      // Whole again: the last part is a piece of its buffer.
      if (bytes.length === first.bytes.length) buffers.give(bytes)
    })
    running.add(tracked)
  }
  try {
    let number = 1
    send(first.bytes, number)
    for await (const part of rest) {
      if (failure !== undefined) break
      if (++number > maxParts) throw storageErrors.error('storage.body_too_large')
      send(part.bytes, number)
    }
    await Promise.all(running)
    if (failure !== undefined) throw failure as Error
    done.sort((a, b) => a.PartNumber! - b.PartNumber!)
    // Not every store looks at the condition when it joins the parts.
    if (options.createOnly && (await isThere(connection, place))) throw storageErrors.error('storage.exists')
    const complete = new sdk.CompleteMultipartUploadCommand({
      ...upload,
      MultipartUpload: { Parts: done },
      ...(options.createOnly && { IfNoneMatch: '*' }),
    })
    await spoken(client.send(complete, abortable(options.signal)), options.createOnly)
  } catch (error) {
    // The first fault is the one to tell: stopping makes more.
    const first = failure ?? error
    stop.abort()
    await Promise.all(running)
    // What this leaves when it fails as well, a lifecycle rule of the bucket removes.
    await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined)
    throw first as Error
  }
}

function abortable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}

async function isThere({ sdk, client }: Connection, place: { Bucket: string; Key: string }): Promise<boolean> {
  return client.send(new sdk.HeadObjectCommand(place)).then(
    () => true,
    () => false,
  )
}
