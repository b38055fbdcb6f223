import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface UploadsOptions {
  readonly ttlMs: number
  readonly linkTtlMs: number
}

export const uploadsOptions: OptionsSchema<UploadsOptions> = {
  ttlMs: field.duration('FORGE_UPLOADS_TTL', {
    doc: 'How long a started upload may take',
    default: '1h',
    min: '1m',
    max: '7d',
  }),
  linkTtlMs: field.duration('FORGE_UPLOADS_LINK_TTL', {
    doc: 'How long links to ready files hold',
    default: '5m',
    min: '1s',
    max: '7d',
  }),
}
