import { runWithContext } from '../../../kernel/context.ts'
import type { LoggedEvent } from '../driver.ts'
import type { EventCall, HandlerSubscription } from '../subscription.ts'
import { EventContext } from './context.ts'
import { DeliveryAborted } from './delivery.ts'
import type { LaneParts } from './delivery.ts'

/** How long a handler whose signal was aborted may take to end, before it is left to itself. */
const patienceMs = 5000

/** One run of a handler. */
export class Run {
  readonly #parts: LaneParts
  readonly #subscription: HandlerSubscription
  readonly #timeoutMs: number
  readonly #controller = new AbortController()

  constructor(parts: LaneParts, subscription: HandlerSubscription, timeoutMs: number) {
    this.#parts = parts
    this.#subscription = subscription
    this.#timeoutMs = timeoutMs
  }

  get aborted(): DeliveryAborted['reason'] | undefined {
    const { signal } = this.#controller
    return signal.aborted ? (signal.reason as DeliveryAborted).reason : undefined
  }

  abort(reason: DeliveryAborted['reason']): void {
    if (!this.#controller.signal.aborted) this.#controller.abort(new DeliveryAborted(reason))
  }

  /** Resolves when the handler has acknowledged the event; rejects with what it throws, or when it heeds no signal. */
  async handle(event: LoggedEvent, attempt: number): Promise<void> {
    const { clock, log } = this.#parts
    const { name } = this.#subscription
    const timer = clock.after(this.#timeoutMs, () => this.abort('timeout'))
    const { signal } = this.#controller
    let patience = timer
    const deserted = new Promise<never>((_, reject) => {
      signal.addEventListener(
        'abort',
        () => {
          patience = clock.after(patienceMs, () => {
            log.error({ subscription: name, event: event.id }, 'a handler heeds no signal and is left to itself')
            reject(signal.reason as Error)
          })
        },
        { once: true },
      )
    })
    const call: EventCall = {
      attempt,
      signal,
      log: log.child({ subscription: name, event: event.id, type: event.type, attempt }),
      once: (work) => this.#parts.driver.once(name, event.id, work),
    }
    try {
      const context = new EventContext(event, signal, this.#subscription)
      const { handler } = this.#subscription
      await Promise.race([runWithContext(context, async () => handler(event as never, call)), deserted])
    } finally {
      timer.cancel()
      patience.cancel()
    }
  }
}
