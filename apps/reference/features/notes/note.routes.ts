import { created, noContent, reply, route } from 'tsforge/http'
import type { Call, Route } from 'tsforge/http'
import { Type } from 'tsforge/schema'
import type { Note, NoteRepository } from './note.repository.ts'

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
const conflicts = ['note.title_taken', 'db.precondition_failed'] as const

export function noteRoutes(notes: NoteRepository): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/api/v1/notes',
      id: 'listNotes',
      summary: 'Notes of the tenant, newest first',
      tags,
      access: 'notes.read',
      query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) }),
      data: Type.Object({ items: Type.Array(NoteData) }),
      handler: async ({ query }) => {
        const page = await notes.find({ limit: query.limit ?? 20, order: [{ column: 'id', direction: 'desc' }] })
        return { items: page.items.map(show) }
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
        const note = await notes.insert(call.body)
        return created(show(note), { location: `/api/v1/notes/${note.id}`, headers: tagOf(note) })
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
      handler: async ({ params }) => tagged(await notes.findByIdOrThrow(params.id)),
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
      errors: ['note.not_found', ...conflicts],
      handler: async (call) => tagged(await notes.update(call.params.id, call.body, expected(call))),
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
      errors: ['note.not_found', 'db.precondition_failed'],
      handler: async (call) => {
        await notes.softDelete(call.params.id, expected(call))
        return noContent()
      },
    }),
  ]
}

function show(note: Note) {
  const { id, title, body, pinned, version, created_at, updated_at } = note
  return { id, title, body, pinned, version, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
}

function tagOf({ version }: Note): { etag: string } {
  return { etag: `"v${version}"` }
}

function tagged(note: Note) {
  return reply(show(note), { headers: tagOf(note) })
}

/** The versions that If-Match names (RFC 9110 section 13.1.1); a foreign tag fits no version. */
function expected(call: Pick<Call, 'header'>): { version: number[]; precondition: true } | undefined {
  const header = call.header('if-match')?.trim()
  if (header === undefined || header === '*') return undefined
  const tags = header.split(',').map((tag) => /^"v(\d{1,9})"$/.exec(tag.trim())?.[1])
  return { version: tags.map((version) => (version === undefined ? -1 : Number(version))), precondition: true }
}
