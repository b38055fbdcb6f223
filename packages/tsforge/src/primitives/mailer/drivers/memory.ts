import { systemClock } from '../../../kernel/clock.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { uuidv7 } from '../../../kernel/ids.ts'
import type { Delivery, Inbox, KeptMail, MailDriver, OutgoingMail } from '../driver.ts'

export interface MemorySettings {
  readonly clock?: Clock
  /** Mails that are kept; the oldest go. Default 500. */
  readonly limit?: number
  /** Bytes of mails that are kept, the newest in any case. Default 64 MiB. */
  readonly limitBytes?: number
}

/** Keeps mails in this process, for tests and for the inbox of development. */
export function memory(settings: MemorySettings = {}): MailDriver & { readonly inbox: Inbox } {
  const { clock = systemClock, limit = 500, limitBytes = 64 * 2 ** 20 } = settings
  const inbox = new Kept(limit, limitBytes)
  return {
    name: 'memory',
    capabilities: { delivers: false },
    inbox,
    async deliver(mail, { signal, beforeHandOver }): Promise<Delivery> {
      signal?.throwIfAborted()
      await beforeHandOver?.()
      inbox.keep(mail, new Date(clock.now()))
      return { accepted: mail.envelope.to, refused: [], response: 'kept in memory' }
    },
    verify: async () => {},
    close: async () => {},
  }
}

class Kept implements Inbox {
  readonly #limit: number
  readonly #limitBytes: number
  /** Newest first; replaced at each change, so that whoever reads a list keeps it. */
  #mails: readonly KeptMail[] = []
  #version = 0

  constructor(limit: number, limitBytes: number) {
    this.#limit = limit
    this.#limitBytes = limitBytes
  }

  get mails(): readonly KeptMail[] {
    return this.#mails
  }

  get version(): number {
    return this.#version
  }

  keep(mail: OutgoingMail, at: Date): void {
    let bytes = 0
    const mails = [{ ...mail, id: uuidv7(), at }, ...this.#mails].slice(0, this.#limit)
    this.#set(mails.filter(({ raw }, index) => (bytes += raw.length) <= this.#limitBytes || index === 0))
  }

  get(id: string): KeptMail | undefined {
    return this.#mails.find((mail) => mail.id === id)
  }

  remove(id: string): boolean {
    const left = this.#mails.filter((mail) => mail.id !== id)
    const found = left.length < this.#mails.length
    if (found) this.#set(left)
    return found
  }

  clear(): void {
    this.#set([])
  }

  #set(mails: readonly KeptMail[]): void {
    this.#mails = mails
    this.#version++
  }
}
