import type { CompletedPart } from '@aws-sdk/client-s3'
import type { ObjectHeaders, ObjectInfo } from '../../driver.ts'
import type { Connection } from './connection.ts'
import { spoken } from './faults.ts'
import { partBytesFor } from './parts.ts'
import { headersOf } from './upload.ts'

export interface Copy {
  readonly connection: Connection
  readonly bucket: string
  readonly source: ObjectInfo
  readonly to: string
  readonly headers: ObjectHeaders
  readonly partBytes: number
}

/** For objects that S3 does not copy at once. All parts are of the same version of the source, or none. */
export async function copyInParts({ connection, bucket, source, to, headers, partBytes }: Copy): Promise<void> {
  const { sdk, client } = connection
  const place = { Bucket: bucket, Key: to }
  const begun = await spoken(
    client.send(new sdk.CreateMultipartUploadCommand({ ...headersOf(headers, source.sha256), ...place })),
  )
  const upload = { ...place, UploadId: begun.UploadId! }
  const step = partBytesFor(source.size, partBytes)
  const done: CompletedPart[] = []
  try {
    for (let at = 0; at < source.size; at += step) {
      const number = done.length + 1
      const command = new sdk.UploadPartCopyCommand({
        ...upload,
        PartNumber: number,
        CopySource: copySource(bucket, source.key),
        CopySourceIfMatch: source.etag,
        CopySourceRange: `bytes=${at}-${Math.min(at + step, source.size) - 1}`,
      })
      const { CopyPartResult } = await spoken(client.send(command))
      done.push({ PartNumber: number, ETag: CopyPartResult?.ETag })
    }
    await spoken(client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: done } })))
  } catch (error) {
    await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined)
    throw error
  }
}

export function copySource(bucket: string, key: string): string {
  return `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`
}
