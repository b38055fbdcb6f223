import type { Outcome, SinkDriver, SinkMessage } from '../driver.ts'

export interface MemorySinkDriver extends SinkDriver {
  /** What was confirmed, oldest first. */
  readonly messages: readonly SinkMessage[]
}

export interface MemorySinkOptions {
  /** Says why a message is refused, or nothing. */
  readonly refuse?: (message: SinkMessage) => Error | undefined
}

/** Keeps messages in an array, for tests. */
export function memory({ refuse = () => undefined }: MemorySinkOptions = {}): MemorySinkDriver {
  const messages: SinkMessage[] = []
  return {
    name: 'memory',
    capabilities: { atomicPerKey: false, deduplicates: false },
    messages,
    send: async (batch) =>
      batch.map((message): Outcome => {
        const fault = refuse(message)
        if (fault !== undefined) return fault
        messages.push(message)
        return 'confirmed'
      }),
    close: async () => undefined,
  }
}
