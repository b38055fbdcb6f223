import { createHash } from 'node:crypto'
import type { ObjectInfo, Storage } from '../../primitives/storage/index.ts'
import { fits, sniff, sniffedBytes } from './content-type.ts'
import type { Upload, UploadKind } from './uploads.ts'
import { UploadRefusal } from './uploads.ts'

/** Throws `UploadRefusal` unless what lies at `key` is what was announced. All reads are of the version `info`. */
export async function check(
  storage: Storage,
  key: string,
  info: ObjectInfo,
  upload: Upload,
  kind: UploadKind,
): Promise<void> {
  if (info.size !== upload.size) throw new UploadRefusal('size')
  const same = { ifMatch: info.etag }
  // Only a check sum needs all of it.
  const partly = upload.sha256 === null && info.size > sniffedBytes
  const { body } = await storage.get(key, { ...same, ...(partly && { range: { start: 0, end: sniffedBytes - 1 } }) })
  const hash = createHash('sha256')
  let head: Buffer = Buffer.alloc(0)
  for await (const piece of body as AsyncIterable<Buffer>) {
    hash.update(piece)
    if (head.length < sniffedBytes) head = Buffer.concat([head, piece]).subarray(0, sniffedBytes)
  }
  if (upload.sha256 !== null && hash.digest('hex') !== upload.sha256) throw new UploadRefusal('checksum')
  if (!fits(upload.contentType, sniff(head))) throw new UploadRefusal('content_type')
  await kind.accept?.(upload, {
    bytes: async () => (await storage.get(key, same)).bytes(),
    stream: async () => (await storage.get(key, same)).body,
  })
}
