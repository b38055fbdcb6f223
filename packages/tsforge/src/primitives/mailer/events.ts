import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A mail has ended, or an attempt to send it has. Never its content, never addresses. */
export interface MailEvent {
  /** `deferred`: nothing was sent, and trying later makes sense. `suppressed`: nobody of its recipients may get it. */
  readonly result: 'sent' | 'partial' | 'suppressed' | 'rejected' | 'deferred' | 'misconfigured' | 'unknown'
  readonly messageId: string
  readonly driver: string
  readonly durationMs: number
  readonly error: unknown
}

/** `tsforge:mailer:mail`, payload `MailEvent`. */
export const mailChannel: Channel<unknown, MailEvent> = channel('tsforge:mailer:mail') as Channel<unknown, MailEvent>
