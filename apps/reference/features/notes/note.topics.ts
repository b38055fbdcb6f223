import { defineTopic } from 'tsforge/realtime'
import type { Topic } from 'tsforge/realtime'
import { noteChanged, noteCreated, noteDeleted } from './note.events.ts'

/** Members see the list change while they look at it. */
export const noteTopic: Topic = defineTopic({
  name: 'notes',
  events: [noteCreated, noteChanged, noteDeleted],
  audience: 'tenant',
  permission: 'notes.read',
})
