import type { Readable } from 'node:stream'
import type { GetObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import type {
  CopyChanges,
  DriverGet,
  DriverList,
  DriverObject,
  DriverPut,
  DriverSigner,
  Listing,
  ObjectInfo,
  StorageDriver,
} from '../driver.ts'
import { storageErrors } from '../errors.ts'
import { connect, disconnect, loaded } from './s3/connection.ts'
import type { Connection, S3Settings } from './s3/connection.ts'
import { copyInParts, copySource } from './s3/copy.ts'
import { spoken } from './s3/faults.ts'
import { createSigner } from './s3/sign.ts'
import { digestName, headersOf, upload } from './s3/upload.ts'

export type { S3Settings } from './s3/connection.ts'

const mebibyte = 2 ** 20
const copyPartBytes = 512 * mebibyte

/**
 * A bucket of S3, or of a store that speaks like it. Needs `@aws-sdk/client-s3`, and for links
 * `@aws-sdk/s3-request-presigner` and `@aws-sdk/s3-presigned-post`; all of them are loaded at the first use.
 */
export function s3(settings: S3Settings): StorageDriver {
  return new S3Driver(settings)
}

class S3Driver implements StorageDriver {
  readonly capabilities = { durable: true, shared: true }
  readonly signer: DriverSigner
  readonly #settings: S3Settings
  readonly #bucket: string
  #connected: Promise<Connection> | undefined
  #signing: Promise<Connection> | undefined

  constructor(settings: S3Settings) {
    this.#settings = settings
    this.#bucket = settings.bucket
    this.signer = createSigner({ connection: () => this.#signer(), bucket: settings.bucket })
  }

  async put(key: string, body: AsyncIterable<Buffer>, options: DriverPut): Promise<ObjectInfo> {
    const connection = await this.#connect()
    const { partBytes = 8 * mebibyte } = this.#settings
    await upload({ connection, bucket: this.#bucket, key, partBytes }, body, options)
    return this.#found(key)
  }

  async get(key: string, { range, ifMatch, ifNoneMatch, signal }: DriverGet): Promise<DriverObject> {
    const { sdk, reader } = await this.#connect()
    const command = new sdk.GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ...(range !== undefined && { Range: rangeText(range) }),
      ...(ifMatch !== undefined && { IfMatch: ifMatch }),
      ...(ifNoneMatch !== undefined && { IfNoneMatch: ifNoneMatch }),
    })
    const answer = await spoken(reader.send(command, signal === undefined ? {} : { abortSignal: signal }))
    const part = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '')
    const info = { ...infoOf(key, answer), ...(part !== null && { size: Number(part[3]) }) }
    return {
      info,
      range: part === null ? undefined : { start: Number(part[1]), end: Number(part[2]) },
      body: answer.Body as Readable,
    }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    const { sdk, client } = await this.#connect()
    try {
      return infoOf(key, await spoken(client.send(new sdk.HeadObjectCommand({ Bucket: this.#bucket, Key: key }))))
    } catch (error) {
      if (storageErrors.is(error, 'storage.not_found')) return undefined
      throw error
    }
  }

  async copy(from: string, to: string, { ifMatch, headers }: CopyChanges): Promise<ObjectInfo> {
    const source = await this.#found(from)
    if (ifMatch !== undefined && ifMatch !== source.etag) throw storageErrors.error('storage.precondition_failed')
    const connection = await this.#connect()
    const { sdk, client } = connection
    const { copyBytes = 5 * 1024 * mebibyte } = this.#settings
    const place = { connection, bucket: this.#bucket, source, to, headers: headers ?? source }
    if (source.size > copyBytes) await copyInParts({ ...place, partBytes: Math.min(copyPartBytes, copyBytes) })
    else {
      const command = new sdk.CopyObjectCommand({
        ...headersOf(headers ?? source, source.sha256),
        Bucket: this.#bucket,
        Key: to,
        CopySource: copySource(this.#bucket, from),
        CopySourceIfMatch: source.etag,
        MetadataDirective: 'REPLACE',
      })
      await spoken(client.send(command))
    }
    return this.#found(to)
  }

  async list({ prefix, delimiter, cursor, limit }: DriverList): Promise<Listing> {
    const { sdk, client } = await this.#connect()
    const command = new sdk.ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: prefix,
      MaxKeys: limit,
      ...(delimiter !== undefined && { Delimiter: delimiter }),
      ...(cursor !== undefined && { ContinuationToken: cursor }),
    })
    const {
      Contents = [],
      CommonPrefixes = [],
      IsTruncated,
      NextContinuationToken,
    } = await spoken(client.send(command))
    return {
      objects: Contents.map(({ Key, Size, ETag, LastModified }) => ({
        key: Key!,
        size: Size ?? 0,
        etag: ETag ?? '',
        updatedAt: LastModified ?? new Date(0),
      })),
      folders: CommonPrefixes.map((each) => each.Prefix!),
      cursor: IsTruncated === true ? (NextContinuationToken ?? null) : null,
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const { sdk, client } = await this.#connect()
    if (keys.length === 1) {
      const one = new sdk.DeleteObjectCommand({ Bucket: this.#bucket, Key: keys[0]! })
      await spoken(client.send(one)).catch((error: unknown) => {
        // Some stores have to tell.
        if (!storageErrors.is(error, 'storage.not_found')) throw error
      })
      return
    }
    const Objects = keys.map((Key) => ({ Key }))
    const command = new sdk.DeleteObjectsCommand({ Bucket: this.#bucket, Delete: { Objects, Quiet: true } })
    const { Errors = [] } = await spoken(client.send(command))
    const fault = Errors.find(({ Code }) => Code !== 'NoSuchKey')
    if (fault !== undefined)
      throw storageErrors.error('storage.unavailable', { cause: new Error(`${fault.Code}: ${fault.Message}`) })
  }

  async ping(signal?: AbortSignal): Promise<void> {
    const { sdk, client } = await this.#connect()
    const command = new sdk.ListObjectsV2Command({ Bucket: this.#bucket, MaxKeys: 1 })
    await spoken(client.send(command, signal === undefined ? {} : { abortSignal: signal }))
  }

  async close(): Promise<void> {
    const [own, signing] = [await this.#connected?.catch(() => undefined), await this.#signing?.catch(() => undefined)]
    if (this.#settings.client === undefined && own !== undefined) disconnect(own)
    if (signing !== undefined && signing !== own) disconnect(signing)
  }

  async #found(key: string): Promise<ObjectInfo> {
    const info = await this.head(key)
    if (info === undefined) throw storageErrors.error('storage.not_found')
    return info
  }

  #connect(): Promise<Connection> {
    const { client, endpoint } = this.#settings
    return (this.#connected ??=
      client === undefined
        ? connect(this.#settings, endpoint)
        : loaded(() => import('@aws-sdk/client-s3')).then((sdk) => ({ sdk, client, reader: client })))
  }

  #signer(): Promise<Connection> {
    const { publicEndpoint } = this.#settings
    return publicEndpoint === undefined ? this.#connect() : (this.#signing ??= connect(this.#settings, publicEndpoint))
  }
}

function rangeText(range: NonNullable<DriverGet['range']>): string {
  return 'last' in range ? `bytes=-${range.last}` : `bytes=${range.start}-${range.end ?? ''}`
}

function infoOf(key: string, answer: HeadObjectCommandOutput | GetObjectCommandOutput): ObjectInfo {
  const { [digestName]: sha256, ...metadata } = answer.Metadata ?? {}
  return {
    key,
    size: answer.ContentLength ?? 0,
    etag: answer.ETag ?? '',
    updatedAt: answer.LastModified ?? new Date(0),
    contentType: answer.ContentType ?? 'application/octet-stream',
    ...(answer.ContentDisposition !== undefined && { contentDisposition: answer.ContentDisposition }),
    ...(answer.CacheControl !== undefined && { cacheControl: answer.CacheControl }),
    ...(sha256 !== undefined && { sha256 }),
    metadata,
  }
}
