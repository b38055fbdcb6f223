import { createHash } from 'node:crypto'
import type * as Aws from '@aws-sdk/client-s3'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { readingAgents } from './reading.ts'

export interface S3Settings {
  readonly bucket: string
  /** Default `us-east-1`. */
  readonly region?: string
  /** Of a store that is not AWS. */
  readonly endpoint?: string
  /** As browsers reach it, for signed links. */
  readonly publicEndpoint?: string
  /** Default: the SDK's own chain (environment, profiles, SSO, web identity, instance roles). */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** The bucket in the path. Default false. */
  readonly pathStyle?: boolean
  /** Of multipart uploads, 5 MB at least. Default 8 MB. */
  readonly partBytes?: number
  /** Objects above this are copied in parts; S3 copies 5 GB at once. */
  readonly copyBytes?: number
  /** A client of one's own, which is then not closed. */
  readonly client?: S3Client
}

export type Sdk = typeof Aws

export interface Connection {
  readonly sdk: Sdk
  readonly client: S3Client
  /** For downloads alone: uploads wait for the store to say that it wants the body, which the SDK does on its own agents only. */
  readonly reader: S3Client
}

const missing =
  'The driver s3 needs the package @aws-sdk/client-s3: npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner @aws-sdk/s3-presigned-post'

/** Loads a package of the SDK when it is needed: it costs a quarter of a second. */
export async function loaded<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') throw new Error(missing, { cause: error })
    throw error
  }
}

export async function connect(settings: S3Settings, endpoint: string | undefined): Promise<Connection> {
  const sdk = await loaded(() => import('@aws-sdk/client-s3'))
  const { region = 'us-east-1', credentials, pathStyle = false } = settings
  const timeouts = { connectionTimeout: 5000, requestTimeout: 60_000, throwOnRequestTimeout: true }
  const config: S3ClientConfig = {
    region,
    forcePathStyle: pathStyle,
    // Check sums in trailers are more than most stores that are not AWS can take.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: timeouts as never,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
  }
  const client = new sdk.S3Client(config)
  addDigest(client)
  const agents = await readingAgents()
  if (agents === undefined) return { sdk, client, reader: client }
  const reader = new sdk.S3Client({
    ...config,
    credentials: client.config.credentials,
    requestHandler: { ...timeouts, ...agents } as never,
  })
  return { sdk, client, reader }
}

export function disconnect({ client, reader }: Connection): void {
  client.destroy()
  reader.destroy()
}

/** Older stores want Content-MD5 of the one request that must have a check sum, and know nothing of CRC32. */
function addDigest(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => (args) => {
      const request = args.request as { headers: Record<string, string>; body?: unknown }
      if (context.commandName === 'DeleteObjectsCommand' && typeof request.body === 'string')
        request.headers['content-md5'] = createHash('md5').update(request.body).digest('base64')
      return next(args)
    },
    { step: 'build', priority: 'low', name: 'forgeContentMd5' },
  )
}
