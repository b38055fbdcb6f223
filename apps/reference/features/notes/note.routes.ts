import {
  created,
  definePage,
  noContent,
  optionalMatch,
  pageOf,
  pageQuery,
  pageSchema,
  parsePage,
  reply,
  route,
  versionTag,
} from 'tsforge/http'
import type { Route } from 'tsforge/http'
import { Type } from 'tsforge/schema'
import type { Note } from './note.repository.ts'
import type { NoteService } from './note.service.ts'

const title = Type.String({ minLength: 1, maxLength: 200, pattern: '\\S' })
const body = Type.String({ maxLength: 100_000 })

const NoteParams = Type.Object({ id: Type.String({ format: 'uuid' }) })
const NewNote = Type.Object({ title, body, pinned: Type.Optional(Type.Boolean()) })
const NotePatch = Type.Partial(NewNote, { minProperties: 1 })
const NoteData = Type.Object({
  id: Type.String({ format: 'uuid' }),
  title: Type.String(),
  body: Type.String(),
  pinned: Type.Boolean(),
  version: Type.Integer(),
  created_at: Type.String({ format: 'date-time' }),
  updated_at: Type.String({ format: 'date-time' }),
})

const tags = ['notes']
const paging = definePage({ name: 'notes', sort: ['id', 'title', 'created_at'], defaultSort: '-id' })
const pagingErrors = [
  'page.limit_invalid',
  'page.sort_invalid',
  'page.cursor_invalid',
  'page.offset_invalid',
  'page.position_ambiguous',
]
const writingErrors = ['note.not_found', 'precondition.malformed', 'db.precondition_failed']

export function noteRoutes({ repository, cursors }: NoteService): readonly Route[] {
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
      errors: pagingErrors,
      handler: async ({ query }) => {
        const page = parsePage(query, paging, cursors)
        return pageOf(await repository.find(page), page, show)
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
      errors: ['note.title_taken'],
      handler: async (call) => {
        const note = await repository.insert(call.body)
        return created(show(note), {
          location: `/api/v1/notes/${note.id}`,
          headers: { etag: versionTag(note.version) },
        })
      },
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
      errors: ['note.not_found'],
      handler: async ({ params }) => tagged(await repository.findByIdOrThrow(params.id)),
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
      data: NoteData,
      errors: ['note.title_taken', ...writingErrors],
      handler: async (call) =>
        tagged(await repository.update(call.params.id, call.body, optionalMatch(call.header('if-match')))),
    }),
    route({
      method: 'DELETE',
      url: '/api/v1/notes/:id',
      id: 'deleteNote',
      summary: 'Delete a note',
      tags,
      access: 'notes.write',
      params: NoteParams,
      data: null,
      errors: writingErrors,
      handler: async (call) => {
        await repository.softDelete(call.params.id, optionalMatch(call.header('if-match')))
        return noContent()
      },
    }),
  ]
}

function show(note: Note) {
  const { id, title, body, pinned, version, created_at, updated_at } = note
  return {
    id,
    title,
    body,
    pinned,
    version,
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
  }
}

function tagged(note: Note) {
  return reply(show(note), { headers: { etag: versionTag(note.version) } })
}
