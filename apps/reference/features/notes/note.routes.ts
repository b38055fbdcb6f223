import { created, definePage, noContent, pageOf, pageQuery, pageSchema, parsePage, route } from 'tsforge/http'
import type { Route } from 'tsforge/http'
import { Timestamp, Type, Uuid } from 'tsforge/schema'
import { noteChanged, noteCreated, noteDeleted } from './note.events.ts'
import type { NoteService } from './note.service.ts'

const title = Type.String({ minLength: 1, maxLength: 200, pattern: '\\S' })
const body = Type.String({ maxLength: 100_000 })

const NoteParams = Type.Object({ id: Uuid })
const NewNote = Type.Object({ title, body, pinned: Type.Optional(Type.Boolean()) })
const NotePatch = Type.Partial(NewNote, { minProperties: 1 })
const NoteData = Type.Object(
  {
    id: Uuid,
    title: Type.String(),
    body: Type.String(),
    pinned: Type.Boolean(),
    version: Type.Integer(),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'Note' },
)

const NoteCountsData = Type.Object({ total: Type.Integer(), pinned: Type.Integer() }, { $id: 'NoteCounts' })

const tags = ['notes']
const paging = definePage({ name: 'notes', sort: ['id', 'title'], defaultSort: '-id' })

export function noteRoutes({
  db,
  idempotency,
  repository,
  cursors,
  count,
  changed,
  tell,
}: NoteService): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/v1/notes',
      id: 'listNotes',
      summary: 'Notes of the tenant, newest first',
      tags,
      access: 'notes.read',
      query: Type.Object(pageQuery),
      data: pageSchema(NoteData),
      handler: async ({ query }) => {
        const page = parsePage(query, paging, cursors)
        return pageOf(await repository.find(page), page)
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/notes',
      id: 'createNote',
      summary: 'Write a note',
      tags,
      access: 'notes.write',
      body: NewNote,
      status: 201,
      data: NoteData,
      etag: 'version',
      errors: ['note.title_taken'],
      // The note, its event and the answer for its Idempotency-Key commit together.
      handler: async ({ body }) => {
        const answer = await db.tx(async (tx) => {
          const note = await repository.insert(body, tx)
          await tell(tx, noteCreated, note)
          const made = created(note, { location: `/api/v1/notes/${note.id}` })
          await idempotency.inTransaction(tx, made)
          return made
        })
        await changed()
        return answer
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/note-counts',
      id: 'countNotes',
      summary: 'How many notes the tenant has',
      tags,
      access: 'notes.read',
      data: NoteCountsData,
      handler: async () => count(),
    }),
    route({
      method: 'GET',
      url: '/api/v1/notes/:id',
      id: 'getNote',
      summary: 'One note',
      tags,
      access: 'notes.read',
      params: NoteParams,
      data: NoteData,
      etag: 'version',
      errors: ['note.not_found'],
      handler: ({ params }) => repository.findByIdOrThrow(params.id),
    }),
    route({
      method: 'PATCH',
      url: '/api/v1/notes/:id',
      id: 'changeNote',
      summary: 'Change a note; with If-Match only when nobody else did meanwhile',
      tags,
      access: 'notes.write',
      params: NoteParams,
      body: NotePatch,
      precondition: 'optional',
      data: NoteData,
      etag: 'version',
      errors: ['note.not_found', 'note.title_taken'],
      handler: async ({ params, body, expected }) => {
        const note = await db.tx(async (tx) => {
          const updated = await repository.update(params.id, body, expected, tx)
          await tell(tx, noteChanged, updated)
          return updated
        })
        await changed()
        return note
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/v1/notes/:id',
      id: 'deleteNote',
      summary: 'Delete a note',
      tags,
      access: 'notes.write',
      params: NoteParams,
      precondition: 'optional',
      data: null,
      errors: ['note.not_found'],
      handler: async ({ params, expected }) => {
        await db.tx(async (tx) => tell(tx, noteDeleted, await repository.softDelete(params.id, expected, tx)))
        await changed()
        return noContent()
      },
    }),
  ]
}
