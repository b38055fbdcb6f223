import type { Client, Connection } from 'pg'
import type { Shape } from './rows.ts'

/** The part of `pg`'s wire connection that an exchange speaks to. */
export interface Wire extends Pick<Connection, 'on'> {
  readonly stream: { cork?(): void; uncork?(): void }
  query(text: string): void
  parse(message: { name: string; text: string; types: readonly number[] }): void
  bind(message: { portal: string; statement: string; values: readonly unknown[]; binary: boolean }): void
  describe(message: { type: 'P' | 'S'; name: string }): void
  execute(message: { portal: string; rows: number }): void
  close(message: { type: 'P' | 'S'; name: string }): void
  sync(): void
  sendCopyFail(reason: string): void
}

/** What one server connection has prepared. */
export class Session {
  /** Prepared names; the shape of their rows once it is known (`null`: no rows). */
  readonly prepared: Map<string, Shape | null | undefined> = new Map()
  /** Names to be closed before they are parsed again, since the server may or may not know them. */
  readonly doubtful: Set<string> = new Set()
  /** Parse messages under way, in order; `undefined` for unnamed ones. */
  readonly parsing: (string | undefined)[] = []
  /** What has been sent and not been answered. */
  awaiting: object | undefined

  constructor(wire: Wire) {
    wire.on('parseComplete', () => {
      const name = this.parsing.shift()
      if (name !== undefined && !this.prepared.has(name)) this.prepared.set(name, undefined)
    })
  }

  /** After an error the server skips to the next Sync: Parse messages without an answer may not have happened. */
  abandonParsing(): void {
    for (const name of this.parsing) if (name !== undefined) this.doubtful.add(name)
    this.parsing.length = 0
  }

  /** The server's statements and ours have come apart: each is closed and parsed anew at its next use. */
  forgetAll(): void {
    for (const name of this.prepared.keys()) this.doubtful.add(name)
    this.prepared.clear()
  }
}

const sessions = new WeakMap<Client, Session>()

export function sessionOf(client: Client): Session {
  let session = sessions.get(client)
  if (session === undefined) {
    session = new Session((client as unknown as { connection: Wire }).connection)
    sessions.set(client, session)
  }
  return session
}
