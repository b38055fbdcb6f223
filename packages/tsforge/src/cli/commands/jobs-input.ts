import type { JobFilter, JobId, JobState } from '../../primitives/jobs/index.ts'
import type { Invocation } from '../command.ts'
import { UsageError } from '../command.ts'
import { suggestion } from '../parse.ts'

export type Flags = Invocation['flags']

export const states: readonly JobState[] = ['scheduled', 'ready', 'running', 'retrying', 'done', 'dead', 'cancelled']

/** A flag that a verb would ignore was meant to do something. */
export function refuse(flags: Flags, verb: string, ...names: readonly string[]): void {
  const given = names.find((name) => flags[name] !== undefined)
  if (given !== undefined) throw new UsageError(`forge jobs ${verb} takes no --${given}.`)
}

export function filterOf(flags: Flags): JobFilter {
  const text = (name: string, most: number): string | undefined => {
    const value = flags[name]
    if (typeof value !== 'string') return undefined
    if (value.length > most || value.includes('\0')) throw new UsageError(`--${name} takes at most ${most} characters.`)
    return value
  }
  const [queue, kind, tag, key, tenantId] = [
    text('queue', 128),
    text('kind', 128),
    text('tag', 100),
    text('key', 200),
    flags['tenant'],
  ]
  if (typeof tenantId === 'string' && !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(tenantId))
    throw new UsageError('--tenant takes the id of a tenant, a UUID.')
  const state = typeof flags['state'] === 'string' ? flags['state'].split(',').map(stateOf) : undefined
  return {
    ...(queue !== undefined && { queue }),
    ...(kind !== undefined && { kind }),
    ...(tag !== undefined && { tag }),
    ...(key !== undefined && { key }),
    ...(typeof tenantId === 'string' && { tenantId }),
    ...(state !== undefined && { state }),
  }
}

function stateOf(text: string): JobState {
  const state = states.find((each) => each === text)
  if (state === undefined) throw new UsageError(`There is no state "${text}"${suggestion(text, states)}`)
  return state
}

export function whole(flags: Flags, name: string, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
  const text = flags[name]
  if (typeof text !== 'string') return undefined
  if (!/^[1-9]\d{0,15}$/.test(text) || Number(text) > most)
    throw new UsageError(`--${name} needs a whole number from 1${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}.`)
  return Number(text)
}

export function idOf(text: string, what: string): JobId {
  const id = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(id)) throw new UsageError(`${what} is named by its number, e.g. 4711.`)
  return id
}

export function nameOf(text: string, what: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(text))
    throw new UsageError(`${what} is named by 1 to 128 letters, digits and ._:-`)
  return text
}

/** What a job brings along could steer a terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\u{fffd}')
}
