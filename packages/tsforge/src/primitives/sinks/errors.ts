import { ForgeError, defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue, ErrorDetails } from '../../kernel/errors.ts'

export type SinkErrorCode = 'sinks.driver_missing' | 'sinks.option_invalid' | 'sinks.unavailable' | 'sinks.unconfirmed'

export const sinkErrors: ErrorCatalogue<SinkErrorCode> = defineErrors({
  'sinks.driver_missing': {
    status: 500,
    message: { en: 'The package "{package}" is not installed.', id: 'Paket "{package}" belum dipasang.' },
    fix: 'npm install {package}',
  },
  'sinks.option_invalid': {
    status: 500,
    message: { en: 'An option of the sink is not valid.', id: 'Opsi sink tidak valid.' },
    fix: 'See "meta.option" for the name and "meta.reason" for what is wrong with it.',
  },
  'sinks.unavailable': {
    status: 503,
    message: { en: 'The message broker cannot be reached.', id: 'Broker pesan tidak dapat dijangkau.' },
    fix: 'Nothing is lost: the events are sent again. As the operator: see whether the broker runs; the log has the reason.',
  },
  'sinks.unconfirmed': {
    status: 503,
    message: {
      en: 'The message broker has not confirmed all events.',
      id: 'Broker pesan belum mengonfirmasi semua event.',
    },
    fix: 'The events that are not confirmed are sent again. As the operator: the log has what the broker refused, and why.',
  },
})

/** Of `publish`: tells which events must be sent again. Its cause is the first fault. */
export class SinkError extends ForgeError<'sinks.unavailable' | 'sinks.unconfirmed'> {
  /** Ids of the events that are not confirmed, in the order in which they were given. */
  readonly unconfirmed: readonly string[]
  /** Those among them that the broker refused, or that could not be encoded: to send these again may never help. */
  readonly refused: readonly string[]

  constructor(code: SinkError['code'], ids: Pick<SinkError, 'unconfirmed' | 'refused'>, details: ErrorDetails) {
    super(code, sinkErrors.specs[code], details)
    this.unconfirmed = ids.unconfirmed
    this.refused = ids.refused
  }
}

/** Loads the package of a driver when it is needed, and says which one is missing. */
export async function loaded<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw sinkErrors.error('sinks.driver_missing', { meta: { package: name }, cause: error })
  }
}

export function refuseOption(option: string, reason: string): never {
  throw sinkErrors.error('sinks.option_invalid', { meta: { option, reason } })
}

/** The outcome of what did not reach the broker. */
export function unreachable(cause: unknown): Error {
  return sinkErrors.is(cause) ? cause : sinkErrors.error('sinks.unavailable', { cause })
}

export function asError(fault: unknown): Error {
  return fault instanceof Error ? fault : new Error('the client threw what is no error', { cause: fault })
}
