import { field } from '../../kernel/options.ts'
import type { OptionsSchema, Secret } from '../../kernel/options.ts'

export interface StorageOptions {
  readonly bucket: string | undefined
  readonly region: string
  readonly endpoint: string | undefined
  readonly publicEndpoint: string | undefined
  readonly accessKeyId: string | undefined
  readonly secretAccessKey: Secret | undefined
  readonly pathStyle: boolean
  readonly driver: 'auto' | 's3' | 'disk' | 'memory'
  readonly path: string
  readonly url: string | undefined
  readonly linkTtlMs: number
  readonly partBytes: number
}

/** Secrets and files travel in the clear otherwise; what stays on this machine may. */
function refusePlain(url: string | undefined): string | undefined {
  if (url === undefined) return undefined
  const { protocol, hostname } = new URL(url)
  const local = hostname === 'localhost' || hostname.startsWith('127.') || hostname === '[::1]'
  return protocol === 'https:' || local ? undefined : 'must begin with https:// (http:// only to this machine itself)'
}

export const storageOptions: OptionsSchema<StorageOptions> = {
  bucket: field.optional(field.string('S3_BUCKET', { doc: 'Bucket of the objects', example: 'acme-files' })),
  region: field.string('S3_REGION', { doc: 'Region of the bucket; `auto` for Cloudflare R2', default: 'us-east-1' }),
  endpoint: field.optional(
    field.url('S3_ENDPOINT', {
      doc: 'Address of an S3 that is not AWS: R2, MinIO, B2, Spaces, Ceph',
      example: 'https://s3.example.com',
      production: refusePlain,
    }),
  ),
  publicEndpoint: field.optional(
    field.url('S3_PUBLIC_ENDPOINT', {
      doc: 'The same as browsers reach it, for signed links; default S3_ENDPOINT',
      production: refusePlain,
    }),
  ),
  accessKeyId: field.optional(
    field.string('S3_ACCESS_KEY_ID', { doc: "Key; without one the SDK's own chain: AWS_*, profiles, roles" }),
  ),
  secretAccessKey: field.optional(
    field.secret('S3_SECRET_ACCESS_KEY', {
      doc: 'Secret of that key',
      foreign: true,
      check: (_, { accessKeyId }) => (accessKeyId === undefined ? 'needs S3_ACCESS_KEY_ID' : undefined),
    }),
  ),
  pathStyle: field.boolean('S3_FORCE_PATH_STYLE', {
    doc: 'The bucket in the path instead of the host name, for MinIO and Ceph',
    default: false,
  }),
  driver: field.oneOf('FORGE_STORAGE_DRIVER', {
    doc: 'Where objects lie. `auto`: S3 when S3_BUCKET is set, else the disk, but memory in tests',
    values: ['auto', 's3', 'disk', 'memory'],
    default: 'auto',
    production: (value, { bucket }) => {
      if (value === 'memory') return 'must not be memory: a restart would lose all objects'
      if (value === 'auto' && bucket === undefined)
        return 'must be said when there is no S3_BUCKET: disk, if all replicas see the same folder and it is backed up'
      return undefined
    },
  }),
  path: field.string('FORGE_STORAGE_PATH', {
    doc: 'Folder of the driver disk, from the folder of the app',
    default: '.forge/storage',
  }),
  url: field.optional(
    field.url('FORGE_STORAGE_URL', {
      doc: 'Origin under which browsers reach this app, for links that it serves itself; without one they are paths',
      example: 'https://api.example.com',
      check: (value) =>
        value === undefined || new URL(value).pathname === '/' ? undefined : 'must be an origin alone',
      production: refusePlain,
    }),
  ),
  linkTtlMs: field.duration('FORGE_STORAGE_LINK_TTL', {
    doc: 'How long signed links hold where the code says nothing',
    default: '15m',
    min: '1s',
    max: '7d',
  }),
  partBytes: field.bytes('FORGE_STORAGE_PART_SIZE', {
    doc: 'Parts of large uploads to S3; two of them are in memory for each',
    default: '8mb',
    min: '5mb',
    max: '1gb',
  }),
}
