import type { Log } from '../../../kernel/log.ts'
import type { Delivery, MailDriver } from '../driver.ts'

export interface LogSettings {
  readonly log: Log
  /** Whether the text is written too, with the links in it: whoever reads the log can follow them. Default false. */
  readonly body?: boolean
}

/** Writes into the log in place of sending. */
export function log(settings: LogSettings): MailDriver {
  return {
    name: 'log',
    capabilities: { delivers: false },
    async deliver({ envelope, messageId, message, raw }, { signal, beforeHandOver }): Promise<Delivery> {
      signal?.throwIfAborted()
      await beforeHandOver?.()
      const { subject, text, attachments } = message
      const facts = { from: envelope.from, to: envelope.to, messageId, bytes: raw.length, files: attachments.length }
      settings.log.info({ ...facts, ...(settings.body === true && { subject, text }) }, 'a mail, not sent')
      return { accepted: envelope.to, refused: [], response: 'written to the log' }
    },
    verify: async () => {},
    close: async () => {},
  }
}
