import type { FileHandle } from 'node:fs/promises'
import type { ObjectInfo } from '../../driver.ts'

/**
 * A file holds the bytes of its object, then what describes it as JSON, then the length of that (4 bytes, big endian)
 * and a mark of 8: one rename publishes both, and ranges need no arithmetic.
 */
const mark = Buffer.from('FORGEOB1')
const tailBytes = 4 + mark.length
/** More than any trailer has; a single read gets it. */
const readAhead = 8192

export interface Trailer extends Omit<ObjectInfo, 'updatedAt' | 'size' | 'sha256'> {
  readonly updatedAt: number
  readonly sha256: string
}

export function encodeTrailer(trailer: Trailer): Buffer {
  const json = Buffer.from(JSON.stringify(trailer))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.length)
  return Buffer.concat([json, length, mark])
}

/** Throws when the file is none of ours, or damaged. */
export async function readTrailer(handle: FileHandle): Promise<ObjectInfo> {
  const { size: fileSize } = await handle.stat()
  const tail = Buffer.alloc(Math.min(fileSize, readAhead))
  const { bytesRead } = await handle.read(tail, 0, tail.length, fileSize - tail.length)
  if (bytesRead < tailBytes || bytesRead !== tail.length || !tail.subarray(-mark.length).equals(mark)) throw damaged()
  const length = tail.readUInt32BE(tail.length - tailBytes)
  const at = tail.length - tailBytes - length
  if (at < 0) throw damaged()
  const { updatedAt, ...trailer } = JSON.parse(tail.toString('utf8', at, at + length)) as Trailer
  return { ...trailer, updatedAt: new Date(updatedAt), size: fileSize - tailBytes - length }
}

function damaged(): Error {
  return new Error('a file in the storage folder is damaged')
}
