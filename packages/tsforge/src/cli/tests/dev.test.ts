import { expect, it } from 'vitest'
import { matters } from '../commands/dev.ts'

it.each([
  'forge.config.ts',
  'features/notes/note.routes.ts',
  'features/notes/migrations/0001_notes.up.sql',
  '.env',
  'locales/id.json',
])('restarts when %s changes', (file) => expect(matters(file)).toBe(true))

it.each([
  '.forge/postgres/base/1/1259',
  '.forge/secret.ts',
  'node_modules/pg/lib/index.js',
  'dist/index.js',
  'features/notes/notes.test.ts',
  '.git/index',
  'README.md',
  'features/notes/.note.ts.swp',
])('does not restart when %s changes', (file) => expect(matters(file)).toBe(false))
