/** An event as it goes to a broker. */
export interface SinkMessage {
  /** Of the event: the same whenever it is sent again. */
  readonly id: string
  readonly type: string
  /** Partition key: messages of one key are stored in the order in which they are given. */
  readonly key: string | undefined
  /** Subject, routing key, topic or stream. */
  readonly to: string
  /** `application/cloudevents+json; charset=utf-8`, or in binary mode that of the data. */
  readonly contentType: string
  /**
   * In binary mode the attributes of the event without `datacontenttype`, as text: the driver writes them as the binding of
   * its protocol says. Otherwise none.
   */
  readonly attributes: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface SinkCapabilities {
  /**
   * Of what is sent at once, no message is stored whose key has an earlier one of the same address that is not: a batch
   * may be sent as a whole. Otherwise messages of one key are sent one after the other, each when the one before is
   * confirmed.
   */
  readonly atomicPerKey: boolean
  /** What is sent again is stored once, within a window of the broker's. */
  readonly deduplicates: boolean
}

/** What became of a message: the broker has confirmed it, or why not. */
export type Outcome = 'confirmed' | Error

/** A broker that stores messages and says so. */
export interface SinkDriver {
  /** Lower-case, e.g. `nats`. */
  readonly name: string
  readonly capabilities: SinkCapabilities
  /**
   * Sends all, connecting first where there is no connection, and gives the outcome of each. Rejects, or gives
   * `sinks.unavailable` as outcome, for what cannot have been stored or is not known to be, because the broker is away;
   * any other error says that the broker has refused the message. When the signal aborts whoever asked has stopped waiting,
   * and a connection that did not answer is given up.
   */
  send(messages: readonly SinkMessage[], signal: AbortSignal): Promise<readonly Outcome[]>
  /** Closes what the driver has opened itself. Called once. */
  close(): Promise<void>
}
