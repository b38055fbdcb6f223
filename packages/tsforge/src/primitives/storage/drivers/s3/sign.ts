import type { DriverSigner, ObjectHeaders, SignedPost, SignedPut } from '../../driver.ts'
import { storageErrors } from '../../errors.ts'
import { loaded } from './connection.ts'
import type { Connection } from './connection.ts'
import { headersOf } from './upload.ts'

export interface SignerParts {
  connection(): Promise<Connection>
  readonly bucket: string
}

/** Links of S3 itself: Signature Version 4 in the query, or over the policy of a form. */
export function createSigner({ connection, bucket }: SignerParts): DriverSigner {
  return {
    async put(wanted) {
      if (typeof wanted.size !== 'number')
        throw storageErrors.error('storage.unsupported', {
          meta: { reason: 'a signed PUT of S3 has one size; use presignPost for a range' },
        })
      const headers = putHeaders(wanted)
      const { sdk, client } = await connection()
      const { getSignedUrl } = await loaded(() => import('@aws-sdk/s3-request-presigner'))
      const command = new sdk.PutObjectCommand({
        ...headersOf(wanted),
        Bucket: bucket,
        Key: wanted.key,
        ContentLength: wanted.size,
        ...(wanted.createOnly && { IfNoneMatch: '*' }),
      })
      const names = [...Object.keys(headers), 'content-length', 'host']
      const url = await getSignedUrl(client, command, {
        expiresIn: Math.floor(wanted.expiresInMs / 1000),
        signableHeaders: new Set(names),
        unhoistableHeaders: new Set(names),
      })
      return { method: 'PUT', url, headers, expiresAt: expiryOf(url) }
    },
    async post(wanted) {
      const { client } = await connection()
      const { createPresignedPost } = await loaded(() => import('@aws-sdk/s3-presigned-post'))
      const kind = wanted.contentType.endsWith('/')
      const { url, fields } = await createPresignedPost(client, {
        Bucket: bucket,
        Key: wanted.key,
        Expires: Math.floor(wanted.expiresInMs / 1000),
        Fields: { ...postFields(wanted), ...(!kind && { 'Content-Type': wanted.contentType }) },
        Conditions: [
          ['content-length-range', wanted.size.min, wanted.size.max],
          kind ? ['starts-with', '$Content-Type', wanted.contentType] : { 'Content-Type': wanted.contentType },
        ],
      })
      const policy = JSON.parse(Buffer.from(fields['Policy']!, 'base64').toString()) as { expiration: string }
      return { method: 'POST', url, fields, expiresAt: new Date(policy.expiration) }
    },
    async get({ key, contentType, contentDisposition, expiresInMs }) {
      const { sdk, client } = await connection()
      const { getSignedUrl } = await loaded(() => import('@aws-sdk/s3-request-presigner'))
      const command = new sdk.GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(contentType !== undefined && { ResponseContentType: contentType }),
        ...(contentDisposition !== undefined && { ResponseContentDisposition: contentDisposition }),
      })
      return getSignedUrl(client, command, { expiresIn: Math.floor(expiresInMs / 1000) })
    },
  }
}

function putHeaders(wanted: SignedPut): Record<string, string> {
  return {
    'content-type': wanted.contentType,
    ...described(wanted, 'content-disposition', 'cache-control'),
    ...(wanted.createOnly && { 'if-none-match': '*' }),
  }
}

function postFields(wanted: SignedPost): Record<string, string> {
  return described(wanted, 'Content-Disposition', 'Cache-Control')
}

function described(
  { contentDisposition, cacheControl, metadata }: Omit<ObjectHeaders, 'contentType'>,
  dispositionName: string,
  cacheName: string,
): Record<string, string> {
  return {
    ...(contentDisposition !== undefined && { [dispositionName]: contentDisposition }),
    ...(cacheControl !== undefined && { [cacheName]: cacheControl }),
    ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value])),
  }
}

/** When the store will refuse it, as the URL says. */
function expiryOf(url: string): Date {
  const query = new URL(url).searchParams
  const at = query.get('X-Amz-Date')!.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z')
  return new Date(Date.parse(at) + Number(query.get('X-Amz-Expires')) * 1000)
}
