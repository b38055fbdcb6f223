import { defineEvent } from 'tsforge/events'
import type { EventType } from 'tsforge/events'
import { Type } from 'tsforge/schema'

export interface NoteFact {
  readonly id: string
  readonly title: string
  readonly pinned: boolean
}

const schema = Type.Object({ id: Type.String({ format: 'uuid' }), title: Type.String(), pinned: Type.Boolean() })
const subject = ({ id }: NoteFact): string => id

/** What happens to notes. Each is written with the note itself, so that neither is there without the other. */
export const noteCreated: EventType<NoteFact> = defineEvent({
  type: 'note.created',
  description: 'A note was written',
  schema,
  subject,
})
export const noteChanged: EventType<NoteFact> = defineEvent({
  type: 'note.changed',
  description: 'A note was changed',
  schema,
  subject,
})
export const noteDeleted: EventType<NoteFact> = defineEvent({
  type: 'note.deleted',
  description: 'A note was deleted',
  schema,
  subject,
})
