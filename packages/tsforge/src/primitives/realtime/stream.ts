import type { Writable } from 'node:stream'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Actor } from '../../kernel/context.ts'
import type { Delivered } from './deliveries.ts'
import { tenantKey, userKey } from './deliveries.ts'
import type { Position } from './driver.ts'
import type { CloseReason } from './events.ts'
import { goodbyeFrame, openingFrame, plainBeat, resetFrame } from './frames.ts'
import type { Topic } from './topic.ts'

/** Why the caller was let in: `call.standing` of tsforge/http. */
export interface Standing {
  readonly actor: Actor
  readonly tenantId: string | null
  check(): void | Promise<void>
  can(permission: string): boolean | Promise<boolean>
}

export interface StreamLimits {
  readonly bufferBytes: number
  readonly bufferEvents: number
  readonly retryMs: number
}

export interface StreamParts {
  readonly clock: Clock
  readonly limits: StreamLimits
  readonly standing: Standing
  /** At least one. */
  readonly topics: readonly Topic[]
  /** Behind which it goes on; `undefined`: from now on. */
  readonly resume: Position | undefined
  /** Its position was lost: it begins anew, and is told so. */
  readonly reset: string | undefined
  /** Has its output now, and nothing was sent yet. */
  readonly onOpen: (stream: Stream) => void
  /** Called exactly once. */
  readonly onClose: (stream: Stream, reason: CloseReason) => void
}

/** While it catches up it reads on when less than this waits for its reader. */
const pagingBytes = 64 * 1024
/** A reader who takes nothing for so long is no reader. */
const stalledMs = 30_000

/** One caller: what it may hear of, how far it is, and its connection. */
export class Stream {
  readonly standing: Standing
  readonly topics: readonly Topic[]
  readonly keys: ReadonlySet<string>
  readonly openedAt: number
  readonly reset: string | undefined
  readonly resumed: boolean
  /** Spreads what is done to each stream now and then. */
  readonly phase: number = Math.floor(Math.random() * 60)
  /** Everything up to here that is for it was written. */
  position: Position
  /** Events written. */
  sent = 0
  /** Nobody has been able to tell since then whether its caller is still welcome. */
  unsureSince: number | undefined = undefined
  /** Somebody is being asked. */
  asking = false
  readonly #parts: StreamParts
  #out: Writable | undefined
  #reason: CloseReason | undefined
  /** Events written since the reader last had all. */
  #behind = 0
  #waitingAtBeat = 0

  constructor(parts: StreamParts) {
    const { standing, topics } = parts
    this.#parts = parts
    this.standing = standing
    this.topics = topics
    this.position = parts.resume ?? ''
    this.reset = parts.reset
    this.resumed = parts.resume !== undefined
    this.openedAt = parts.clock.monotonic()
    this.keys = new Set(topics.flatMap((topic) => keysOf(topic, standing)))
  }

  get over(): boolean {
    return this.#reason !== undefined
  }

  /** Bytes that wait in this process. */
  get waiting(): number {
    return this.#out?.writableLength ?? 0
  }

  open(out: Writable): void {
    if (this.over) return void out.destroy()
    this.#out = out
    out.once('close', () => this.close('client'))
    // A reset connection is told by `close`.
    out.on('error', () => {})
    this.#parts.onOpen(this)
  }

  cancel(): void {
    this.close('client')
  }

  end(): void {
    this.close('drain')
  }

  /** Says where it begins. */
  begin(position: Position): void {
    this.position = position
    this.#write(openingFrame(this.#parts.limits.retryMs, position))
    if (this.reset !== undefined) this.#write(resetFrame(position, this.reset))
  }

  /** Writes what is for it of an event that lies behind its position. */
  offer({ sequence, deliveries }: Delivered): void {
    for (const { keys, frame } of deliveries) {
      if (frame === null || !keys.some((key) => this.keys.has(key))) continue
      this.write(sequence, frame)
      return
    }
    this.position = sequence
  }

  /** Writes an event. It must lie behind the position. */
  write(sequence: Position, frame: Buffer): void {
    this.position = sequence
    this.sent++
    this.#write(frame)
  }

  /** The same while it is told of what happens: whoever does not keep up comes back later. */
  push(sequence: Position, frame: Buffer): void {
    if (this.waiting === 0) this.#behind = 0
    this.write(sequence, frame)
    this.#behind++
    if (this.#exceeds && this.#flushed && this.#exceeds) this.close('slow')
  }

  get #exceeds(): boolean {
    const { bufferBytes, bufferEvents } = this.#parts.limits
    return this.#behind > bufferEvents || this.waiting > bufferBytes
  }

  /** Whether something waits although the kernel was offered all: what one turn of the event loop writes is held back until then. */
  get #flushed(): boolean {
    ;(this.#out as { readonly socket?: Writable | null } | undefined)?.socket?.uncork()
    if (this.waiting === 0) this.#behind = 0
    return this.waiting > 0
  }

  /** A sign of life. `settled`: everything up to there has been told to all. */
  beat(settled: Position | undefined, shared: Buffer): void {
    const { waiting } = this
    // What waits since the last time is sign enough, if the reader takes any of it.
    if (waiting > 0 && this.#waitingAtBeat > 0 && waiting >= this.#waitingAtBeat) return this.close('slow')
    this.#waitingAtBeat = waiting
    if (waiting === 0) this.#write(settled !== undefined && this.position <= settled ? shared : plainBeat)
  }

  /** Resolves when the reader has taken nearly all, or the stream is over. */
  async taken(): Promise<void> {
    const out = this.#out
    if (out === undefined || this.over || !out.writableNeedDrain || this.waiting < pagingBytes) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel()
        out.off('drain', done)
        out.off('close', done)
        resolve()
      }
      const timer: Timer = this.#parts.clock.after(stalledMs, () => this.close('slow'))
      out.once('drain', done)
      out.once('close', done)
    })
  }

  close(reason: CloseReason): void {
    if (this.over) return
    this.#reason = reason
    const out = this.#out
    this.#parts.onClose(this, reason)
    if (out === undefined || out.destroyed) return
    // Nobody waits for a reader who does not read; what he got of a frame he throws away.
    if (reason === 'slow' || this.waiting > 0) out.destroy()
    else if (reason === 'drain' || reason === 'failed') out.end(this.#goodbye())
    else out.end()
  }

  /** Readers of a process that ends come back one after the other. */
  #goodbye(): Buffer {
    const { retryMs } = this.#parts.limits
    return goodbyeFrame(Math.ceil(retryMs * (0.25 + Math.random() * 1.5)))
  }

  #write(bytes: Buffer): void {
    const out = this.#out
    if (out !== undefined && !this.over && !out.destroyed) out.write(bytes)
  }
}

function keysOf(topic: Topic, { actor, tenantId }: Standing): string[] {
  if (topic.audience === 'tenant') return tenantId === null ? [] : [tenantKey(topic, tenantId)]
  if (actor.id === null) return []
  const anywhere = userKey(topic, null, actor.id)
  return tenantId === null ? [anywhere] : [anywhere, userKey(topic, tenantId, actor.id)]
}
