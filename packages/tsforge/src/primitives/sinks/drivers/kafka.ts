import { isIP } from 'node:net'
import type { Producer, ProducerOptions, SASLOptions } from '@platformatic/kafka'
import type { SinkDriver, SinkMessage } from '../driver.ts'
import { asError, loaded, refuseOption, unreachable } from '../errors.ts'
import { Held } from '../held.ts'

type KafkaProducer = Producer<Buffer, Buffer, Buffer, Buffer>

export interface KafkaSinkOptions {
  /** `kafka://user:password@host:9092`, `kafkas:` for TLS; several are the brokers to begin with. */
  readonly url?: string | readonly string[]
  /** A producer of your own, idempotent, with keys, values and headers as buffers. It is not closed. */
  readonly producer?: KafkaProducer
  /** Name and password of the URL are SASL/PLAIN; other mechanisms here. */
  readonly sasl?: SASLOptions
  readonly tls?: ProducerOptions<Buffer, Buffer, Buffer, Buffer>['tls']
  /** Default `tsforge-sink`. */
  readonly clientId?: string
  /** Lets the broker make topics that are not there. Default false. */
  readonly autocreateTopics?: boolean
  /** For one attempt to connect. Default 5 s. */
  readonly connectMs?: number
}

/**
 * Kafka: an idempotent producer, confirmed by all in-sync replicas, keyed by the partition key of the event so that its events
 * share a partition. Needs `@platformatic/kafka`.
 */
export function kafka(options: KafkaSinkOptions): SinkDriver {
  const { producer: given, autocreateTopics = false } = options
  const settings = given === undefined ? settingsOf(options) : undefined
  const held: Held<KafkaProducer> = new Held(
    async () => {
      if (given !== undefined) return given
      const client = await loaded('@platformatic/kafka', () => import('@platformatic/kafka'))
      return new client.Producer(settings!)
    },
    async (producer) => {
      if (given === undefined) await producer.close(true)
    },
  )
  return {
    name: 'kafka',
    capabilities: { atomicPerKey: true, deduplicates: false },
    async send(messages, signal) {
      const producer = await held.get()
      if (signal.aborted) return messages.map(() => unreachable(signal.reason))
      // Also behind a fault: the sequence numbers of an idempotent producer are uncertain then.
      const giveUp = (): void => held.drop(producer)
      signal.addEventListener('abort', giveUp, { once: true })
      try {
        await producer.send({ messages: messages.map(recordOf), acks: -1, idempotent: true, autocreateTopics })
        return messages.map(() => 'confirmed')
      } catch (fault) {
        giveUp()
        // Which partitions have stored theirs the client does not tell: all are sent again.
        return messages.map(() => (isAway(fault) ? unreachable(fault) : asError(fault)))
      } finally {
        signal.removeEventListener('abort', giveUp)
      }
    },
    close: () => held.close(),
  }
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md */
function recordOf({
  key,
  to,
  contentType,
  attributes,
  body,
}: SinkMessage): Parameters<KafkaProducer['send']>[0]['messages'][0] {
  const headers = new Map([[Buffer.from('content-type'), Buffer.from(contentType)]])
  for (const [name, value] of Object.entries(attributes)) headers.set(Buffer.from(`ce_${name}`), Buffer.from(value))
  return { topic: to, value: body, headers, ...(key !== undefined && { key: Buffer.from(key) }) }
}

/** Whether somewhere in what the client threw a connection or a wait is the reason. */
function isAway(fault: unknown): boolean {
  const { code, cause, errors } = fault as { code?: string; cause?: unknown; errors?: unknown[] }
  if (code === 'PLT_KFK_NETWORK' || code === 'PLT_KFK_TIMEOUT') return true
  return (errors ?? []).some(isAway) || (cause instanceof Error && isAway(cause))
}

function settingsOf(options: KafkaSinkOptions): ProducerOptions<Buffer, Buffer, Buffer, Buffer> {
  const { url, clientId = 'tsforge-sink', connectMs = 5000 } = options
  const urls = (typeof url === 'string' ? url.split(',') : (url ?? [])).map(parsed)
  const [first] = urls
  if (first === undefined) refuseOption('url', 'is missing')
  const [username, password] = [decodeURIComponent(first.username), decodeURIComponent(first.password)]
  const sasl = options.sasl ?? (password === '' ? undefined : { mechanism: 'PLAIN' as const, username, password })
  const tls = options.tls ?? (urls.some(({ protocol }) => protocol === 'kafkas:') ? {} : undefined)
  return {
    clientId,
    bootstrapBrokers: urls.map(({ hostname, port }) => `${hostname}:${port === '' ? 9092 : port}`),
    connectTimeout: connectMs,
    idempotent: true,
    acks: -1,
    // The sink's caller tries again, with a longer breath. Of less than 2 the client makes "for ever".
    retries: 2,
    retryDelay: 100,
    ...(sasl !== undefined && { sasl }),
    // Managed brokers go by the name (SNI), which an address does not have.
    ...(tls !== undefined && { tls, tlsServerName: urls.every(({ hostname }) => isIP(hostname) === 0) }),
  }
}

function parsed(text: string): URL {
  const url = URL.parse(text.trim())
  if (url === null || !['kafka:', 'kafkas:'].includes(url.protocol) || url.hostname === '')
    refuseOption('url', 'must be kafka://host or kafkas://host')
  return url
}
