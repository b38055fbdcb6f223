import type { IncomingMessage } from 'node:http'
import { noContent, reply } from '../../http/answer.ts'
import { route } from '../../http/route.ts'
import type { Answer, Call, Route } from '../../http/route.ts'
import { Type } from '../../http/schema.ts'
import { typeAllowed } from './described.ts'
import type { ObjectHeaders, ObjectInfo, SizeRange, StorageDriver } from './driver.ts'
import { storageErrors } from './errors.ts'
import { readForm } from './form.ts'
import { measured } from './body.ts'
import { checkSize, linkPath } from './served-links.ts'
import type { ServedLinks } from './served-links.ts'

export interface ServedStore {
  readonly driver: StorageDriver
  readonly links: ServedLinks
}

const Link = Type.Object({ link: Type.String({ minLength: 1, maxLength: 8192 }) })
/** What browsers show without running it; anything else is saved, since it would run under the app's own origin. */
const shown =
  /^(?:image\/(?:png|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+|text\/plain|application\/pdf)(?:;|$)/i
const sandbox = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; sandbox"
/** Fields of a form that say what the link says already. */
const commonFields = { link: 'link', type: 'Content-Type' }

/** Links of stores that have none of their own: whoever has one needs no other right. */
export function storageRoutes(store: ServedStore): readonly Route[] {
  const shape = { url: linkPath, access: 'public', hidden: true } as const
  return [
    route({
      ...shape,
      method: 'GET',
      id: 'getStoredObject',
      summary: 'The object of a signed link',
      query: Link,
      data: Type.String(),
      etag: false,
      plain: { contentType: '*/*' },
      handler: (call) => serve(store, call) as never,
    }),
    route({
      ...shape,
      method: 'PUT',
      id: 'putStoredObject',
      summary: 'Stores the object of a signed link',
      query: Link,
      data: null,
      bodyStream: true,
      idempotency: 'refused',
      handler: (call) => take(store, call),
    }),
    route({
      ...shape,
      method: 'POST',
      id: 'postStoredObject',
      summary: 'Stores the object of a signed form',
      data: null,
      bodyStream: true,
      idempotency: 'refused',
      handler: (call) => takeForm(store, call),
    }),
  ]
}

type LinkCall = Call<unknown, { readonly link: string }>

async function serve({ driver, links }: ServedStore, call: LinkCall): Promise<unknown> {
  const permit = links.open('GET', call.query.link)
  const wanted = rangeOf(call.header('range'))
  // A range of another version than the one that the caller has would make a broken file.
  const whole = wanted === undefined || call.header('if-range') !== undefined
  const known = call.header('if-none-match')
  try {
    const { info, range, body } = await driver.get(permit.key, {
      ...(!whole && { range: wanted }),
      ...(known !== undefined && { ifNoneMatch: known.replace(/^W\//, '') }),
    })
    const { start, end } = range ?? { start: 0, end: info.size - 1 }
    return reply(body, {
      status: range === undefined ? 200 : 206,
      headers: {
        ...servedHeaders(info, permit),
        'content-length': String(end - start + 1),
        ...(range !== undefined && { 'content-range': `bytes ${start}-${end}/${info.size}` }),
      },
    })
  } catch (error) {
    if (!storageErrors.is(error, 'storage.not_modified')) throw error
    const info = await driver.head(permit.key)
    if (info === undefined) throw storageErrors.error('storage.not_found')
    return reply(undefined, { status: 304, headers: servedHeaders(info, permit) })
  }
}

function servedHeaders(
  info: ObjectInfo,
  permit: { readonly contentType?: string; readonly contentDisposition?: string },
): Record<string, string> {
  const type = permit.contentType ?? info.contentType
  const said = permit.contentDisposition ?? info.contentDisposition
  const disposition = shown.test(type) ? said : (said ?? 'attachment').replace(/^inline/, 'attachment')
  return {
    'content-type': type,
    ...(disposition !== undefined && { 'content-disposition': disposition }),
    'cache-control': info.cacheControl ?? 'private, no-store',
    'content-security-policy': sandbox,
    'cross-origin-resource-policy': 'cross-origin',
    'accept-ranges': 'bytes',
    etag: info.etag,
    'last-modified': info.updatedAt.toUTCString(),
  }
}

/** One range in bytes; several, and what is malformed, are not taken (RFC 9110 section 14.2 allows to ignore them). */
function rangeOf(header: string | undefined): Parameters<StorageDriver['get']>[1]['range'] {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  if (match[1] === '') {
    if (Number(match[2]) === 0) throw storageErrors.error('storage.range_invalid')
    return { last: Number(match[2]) }
  }
  const start = Number(match[1])
  if (match[2] === '') return { start }
  return Number(match[2]) < start ? undefined : { start, end: Number(match[2]) }
}

async function take({ driver, links }: ServedStore, call: LinkCall): Promise<Answer<never>> {
  const permit = links.open('PUT', call.query.link)
  const req = call.raw.request.raw
  const length = req.headers['content-length']
  if (!typeIs(permit.contentType, req.headers['content-type'])) throw refused('content type')
  if (permit.createOnly && call.header('if-none-match') !== '*') throw refused('if-none-match')
  if (length === undefined) throw refused('content length')
  checkSize(permit.size, Number(length))
  const info = await store(driver, permit, req, Number(length), call)
  return noContent({ headers: { etag: info.etag } })
}

async function takeForm({ driver, links }: ServedStore, call: Call): Promise<Answer<never>> {
  const req = call.raw.request.raw
  const { fields, file } = await readForm(req, req.headers['content-type'])
  const permit = links.open('POST', fields.get(commonFields.link) ?? '')
  for (const name of fields.keys())
    if (!Object.values(commonFields).includes(name)) throw refused(`field ${name.slice(0, 100)}`)
  const contentType = fields.get(commonFields.type)
  if (contentType === undefined || !typeAllowed(permit.contentType, contentType)) throw refused('content type')
  const { size } = permit
  const info = await store(
    driver,
    { ...permit, contentType, createOnly: false },
    atLeast(file, size),
    undefined,
    call,
    size.max,
  )
  return noContent({ headers: { etag: info.etag } })
}

async function store(
  driver: StorageDriver,
  permit: ObjectHeaders & { readonly key: string; readonly createOnly: boolean },
  body: IncomingMessage | AsyncIterable<Buffer>,
  size: number | undefined,
  { signal }: Call,
  maxSize?: number,
): Promise<ObjectInfo> {
  const { key, contentType, contentDisposition, cacheControl, metadata, createOnly } = permit
  const limits = { size, maxSize, sha256: undefined, signal }
  return driver.put(key, measured(body, limits), {
    contentType,
    ...(contentDisposition !== undefined && { contentDisposition }),
    ...(cacheControl !== undefined && { cacheControl }),
    metadata,
    size,
    sha256: undefined,
    createOnly,
    signal,
  })
}

/** Fails at the end instead of ending when too little came, so that nothing is stored. */
async function* atLeast(file: AsyncIterable<Buffer>, size: SizeRange): AsyncGenerator<Buffer> {
  let seen = 0
  for await (const piece of file) {
    seen += piece.length
    yield piece
  }
  checkSize(size, seen)
}

function typeIs(wanted: string, given: string | undefined): boolean {
  return given !== undefined && given.toLowerCase() === wanted.toLowerCase()
}

function refused(reason: string): Error {
  return storageErrors.error('storage.upload_refused', { meta: { reason } })
}
