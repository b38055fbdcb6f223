import { resolve } from 'node:path'
import type { Clock } from '../../kernel/clock.ts'
import type { AppInfo } from '../../kernel/plugin.ts'
import type { StorageDriver } from './driver.ts'
import { storageErrors } from './errors.ts'
import type { StorageOptions } from './options.ts'

export interface DriverParts {
  readonly options: StorageOptions
  readonly app: AppInfo
  readonly clock: Clock
}

/** The driver that the options ask for; only its own code is loaded. */
export async function chooseDriver({ options, app, clock }: DriverParts): Promise<StorageDriver> {
  const { driver, bucket, region, endpoint, publicEndpoint, accessKeyId, secretAccessKey, pathStyle, partBytes } =
    options
  if (driver === 's3' || (driver === 'auto' && bucket !== undefined)) {
    if (bucket === undefined) refuse('FORGE_STORAGE_DRIVER', 's3 needs S3_BUCKET')
    if (accessKeyId !== undefined && secretAccessKey === undefined)
      refuse('S3_ACCESS_KEY_ID', 'needs S3_SECRET_ACCESS_KEY')
    const { s3 } = await import('./drivers/s3.ts')
    return s3({
      bucket,
      region,
      pathStyle,
      partBytes,
      ...(endpoint !== undefined && { endpoint }),
      ...(publicEndpoint !== undefined && { publicEndpoint }),
      ...(accessKeyId !== undefined && {
        credentials: { accessKeyId, secretAccessKey: secretAccessKey!.reveal() },
      }),
    })
  }
  if (driver === 'memory' || (driver === 'auto' && app.environment === 'test'))
    return (await import('./drivers/memory.ts')).memory({ clock })
  return (await import('./drivers/disk.ts')).disk({ path: resolve(app.root, options.path), clock })
}

function refuse(option: string, reason: string): never {
  throw storageErrors.error('storage.option_invalid', { meta: { option, reason } })
}
