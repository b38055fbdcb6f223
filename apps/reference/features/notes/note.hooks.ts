import { field } from 'tsforge/options'
import type { OptionsSchema } from 'tsforge/options'
import { Discard } from 'tsforge/jobs'
import type { Secret } from 'tsforge/secret'
import { defineWebhookSource, standard } from 'tsforge/webhooks-in'
import type { WebhookSource } from 'tsforge/webhooks-in'
import { noteErrors } from './note.errors.ts'
import { noteCreated } from './note.events.ts'
import type { NoteService } from './note.service.ts'

export interface NoteOptions {
  readonly hookSecret: Secret | undefined
  readonly hookSecretPrevious: Secret | undefined
}

export const noteOptions: OptionsSchema<NoteOptions> = {
  hookSecret: field.optional(
    field.secret('NOTES_HOOK_SECRET', {
      doc: 'Secret (whsec_...) of the tool that may write notes for every tenant, by POST /api/v1/hooks/notes/<tenant id>. Absent: nobody may',
    }),
  ),
  hookSecretPrevious: field.optional(
    field.secret('NOTES_HOOK_SECRET_PREVIOUS', { doc: 'The secret before, while both are in use' }),
  ),
}

/** Notes that another system writes, as Standard Webhooks: `{ "type": "note.wanted", "data": { "title", "body" } }`. */
export function noteHook(
  { repository, changed, tell }: NoteService,
  { hookSecret, hookSecretPrevious }: NoteOptions,
): WebhookSource | undefined {
  if (hookSecret === undefined) return undefined
  return defineWebhookSource({
    name: 'notes',
    verifier: standard(),
    perTenant: true,
    secrets: [hookSecret, ...(hookSecretPrevious === undefined ? [] : [hookSecretPrevious])],
    events: ['note.wanted'],
    async handler(delivery, { once }) {
      const { data } = delivery.json<{ data?: { title?: unknown; body?: unknown } }>()
      const { title, body } = data ?? {}
      if (typeof title !== 'string' || title.trim() === '' || title.length > 200 || typeof body !== 'string')
        throw new Discard('a note has a title and a body')
      try {
        await once(async (tx) => tell(tx, noteCreated, await repository.insert({ title, body }, tx)))
      } catch (error) {
        if (noteErrors.is(error, 'note.title_taken')) throw new Discard('a note has this title')
        throw error
      }
      await changed()
    },
  })
}
