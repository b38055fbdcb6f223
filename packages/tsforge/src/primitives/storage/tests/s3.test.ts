import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasS3, s3StartMs, startS3 } from '../../../testing/s3-server.ts'
import type { S3Server } from '../../../testing/s3-server.ts'
import { storageContract } from '../contract.ts'
import { s3 } from '../drivers/s3.ts'

describe.runIf(hasS3)('storage on S3', () => {
  let server: S3Server
  let client: S3Client
  beforeAll(async () => {
    server = await startS3()
    const { endpoint, region, credentials } = server
    client = new S3Client({ endpoint, region, credentials, forcePathStyle: true })
    await server.createBucket('contract')
  }, s3StartMs)
  afterAll(async () => {
    client.destroy()
    await server[Symbol.asyncDispose]()
  })

  storageContract({
    name: 's3',
    create: () => s3({ ...server, bucket: 'contract', partBytes: 5 * 2 ** 20 }),
  })

  it('has no upload left half done by all of this', async () => {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'contract' }))
    expect(Uploads).toEqual([])
  })
})
