import type { EnqueueOptions, Job } from '../jobs/index.ts'
import { isCount, isSubscriptionName, longestMs } from './names.ts'
import { eventsErrors } from './errors.ts'
import type { EventType } from './event.ts'
import { matching } from './match.ts'
import type { Wanted } from './match.ts'
import type { LoggedEvent } from './outbox.ts'
import type {
  EventCall,
  HandlerSubscription,
  JobSubscription,
  SinkSubscription,
  Subscription,
  TransactionSubscription,
} from './subscription.ts'

/** Of what `to` names: its data where all are declared kinds, else unknown. */
export type DataOfTo<To> =
  To extends EventType<infer Data>
    ? Data
    : To extends readonly (infer One)[]
      ? One extends EventType<infer Data>
        ? Data
        : unknown
      : unknown

type Typed<S extends Subscription, To, Own> = Omit<S, keyof Own | 'to'> & { readonly to: To } & Own

/** A handler in this app. Throws `events.definition_invalid` when it cannot work. */
export function subscribe<const To extends Wanted>(
  spec: Typed<
    HandlerSubscription,
    To,
    { readonly handler: (event: LoggedEvent<DataOfTo<To>>, call: EventCall) => unknown }
  >,
): HandlerSubscription {
  return checked(spec as unknown as HandlerSubscription)
}

/** A job for each event, exactly once. Throws `events.definition_invalid`. */
export function toJob<const To extends Wanted, Payload>(
  spec: Typed<
    JobSubscription,
    To,
    {
      readonly job: Job<Payload, unknown>
      readonly payload: (event: LoggedEvent<DataOfTo<To>>) => Payload | undefined
      readonly options?: (event: LoggedEvent<DataOfTo<To>>) => EnqueueOptions
    }
  >,
): JobSubscription {
  return checked(spec as unknown as JobSubscription)
}

/** Work in the database that commits together with the subscription's position: exactly once. Throws `events.definition_invalid`. */
export function inTransaction<const To extends Wanted>(
  spec: Typed<
    TransactionSubscription,
    To,
    {
      readonly transaction: (
        events: readonly LoggedEvent<DataOfTo<To>>[],
        tx: Parameters<TransactionSubscription['transaction']>[1],
      ) => Promise<void>
    }
  >,
): TransactionSubscription {
  return checked(spec as unknown as TransactionSubscription)
}

/** To another system, in order, each at least once. Throws `events.definition_invalid`. */
export function toSink(spec: SinkSubscription): SinkSubscription {
  return checked(spec)
}

function checked<S extends Subscription>(spec: S): S {
  const { name, from = 'now' } = spec
  const require = (right: boolean, reason: string): void => {
    if (!right) throw eventsErrors.error('events.definition_invalid', { meta: { name: String(name), reason } })
  }
  require(isSubscriptionName(name), 'name must be 1 to 128 letters, digits and ._:-')
  require(from === 'now' || from === 'start', 'from must be now or start')
  matching(spec.to)
  const { concurrency, maxAttempts, timeoutMs, backoff } = spec as HandlerSubscription
  const among = (value: number | undefined, most: number): boolean => value === undefined || isCount(value, most)
  require(among(concurrency, 1000), 'concurrency must be 1 to 1000')
  require(among(maxAttempts, 1000), 'maxAttempts must be 1 to 1000')
  require(among(timeoutMs, longestMs), 'timeoutMs must be 1 to 2147483647')
  require(among(backoff?.baseMs, longestMs) && among(backoff?.capMs, longestMs), 'backoff must be 1 to 2147483647 ms')
  return spec
}
