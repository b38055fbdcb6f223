import { defineFeature } from 'tsforge'
import type { Feature } from 'tsforge'
import { dbPort } from 'tsforge/db'
import { uploadsPort } from 'tsforge/uploads'
import { avatarErrors } from './avatar.errors.ts'
import { avatarRoutes } from './avatar.routes.ts'
import { createAvatarService } from './avatar.service.ts'

/** A picture of each member, uploaded straight to the storage. */
export function avatar(): Feature {
  return defineFeature({
    name: 'avatar',
    needs: { db: dbPort, uploads: uploadsPort },
    errors: avatarErrors,
    migrations: { module: 'avatar', directory: new URL('./migrations/', import.meta.url), after: ['uploads'] },
    setup: createAvatarService,
    routes: avatarRoutes,
  })
}
