import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import type { JobHandler } from '../../primitives/jobs/index.ts'
import { storagePort } from '../../primitives/storage/index.ts'
import { createUploads } from './create-uploads.ts'
import { uploadsErrors } from './errors.ts'
import { uploadsOptions } from './options.ts'
import type { UploadsOptions } from './options.ts'
import { uploadsPermissions, uploadsRoutes } from './routes.ts'
import { sweepHandler, sweepSchedule } from './sweep.ts'
import { uploadsPort } from './uploads.ts'
import type { UploadKind, Uploads } from './uploads.ts'

export interface UploadsInput {
  /** What may be uploaded, by the name that callers use. */
  readonly kinds: Readonly<Record<string, UploadKind>>
}

interface Running extends Uploads {
  readonly handlers: readonly JobHandler[]
}

/** Files that browsers send straight to the storage, checked before anybody can read them, with routes under `/api/v1/uploads`. */
export function uploads({ kinds }: UploadsInput): Feature {
  return defineFeature<UploadsOptions, { readonly db: typeof dbPort; readonly storage: typeof storagePort }, Running>({
    name: 'uploads',
    options: uploadsOptions,
    needs: { db: dbPort, storage: storagePort },
    // The plugin itself knows more of the service than its users do.
    provides: uploadsPort as Port<Running>,
    errors: uploadsErrors,
    permissions: uploadsPermissions,
    migrations: { module: 'uploads', directory: new URL('./migrations/', import.meta.url) },
    setup: ({ metrics, ...parts }) => {
      const help = 'Uploads that nobody finished, deleted'
      const swept = metrics.counter('forge_uploads_swept_total', { help }).labels({})
      return Object.assign(createUploads({ ...parts, kinds }), { handlers: [sweepHandler({ ...parts, swept })] })
    },
    jobs: (service) => service.handlers,
    schedules: () => [sweepSchedule],
    routes: uploadsRoutes,
  })
}
