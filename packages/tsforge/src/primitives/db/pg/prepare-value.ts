// pg's own encoding of parameters, so that a statement means the same through us and through a bare client.
// It lies at a path that pg exports ("./lib/*") but does not type.
// @ts-expect-error no types
import utils from 'pg/lib/utils.js'

/**
 * A JavaScript value as PostgreSQL reads it: Dates as timestamps, Buffers as bytea, arrays as SQL arrays, other
 * objects as JSON (give an array for a `jsonb` column as `JSON.stringify(array)`). Throws on circular objects.
 */
export function prepareValue(value: unknown): string | Buffer | null {
  return (utils as { prepareValue(value: unknown): string | Buffer | null }).prepareValue(value)
}
