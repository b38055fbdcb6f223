import type { CheckedMessage } from './message.ts'

/** A checked mail as JSON. */
export type StoredMessage = Omit<CheckedMessage, 'date' | 'attachments'> & {
  readonly date: string
  readonly attachments: readonly (Omit<CheckedMessage['attachments'][number], 'content'> & {
    /** Base64. */
    readonly content: string
  })[]
}

export function toStored({ date, attachments, ...message }: CheckedMessage): StoredMessage {
  return {
    ...message,
    date: date.toISOString(),
    attachments: attachments.map((each) => ({ ...each, content: each.content.toString('base64') })),
  }
}

export function fromStored(stored: StoredMessage): CheckedMessage {
  return {
    ...stored,
    html: stored.html,
    category: stored.category,
    date: new Date(stored.date),
    attachments: stored.attachments.map(({ filename, content, contentType, cid }) => ({
      filename,
      content: Buffer.from(content, 'base64'),
      contentType,
      cid,
    })),
  }
}
