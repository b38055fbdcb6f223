import type { Answer } from './route.ts'

/** How the pipeline tells an answer with a status from data that happens to look like one. */
export class Answered<T> implements Answer<T> {
  readonly status: number
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly data: T

  constructor(status: number, data: T, headers: Readonly<Record<string, string>> | undefined) {
    this.status = status
    this.data = data
    this.headers = headers
  }
}

/** 201 with the new resource and where it lives. */
export function created<T>(
  data: T,
  options: { readonly location?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Answer<T> {
  const location = options.location
  return new Answered(201, data, location === undefined ? options.headers : { ...options.headers, location })
}

/** 204 without a body. Fits routes whose `data` is null as well as others. */
export function noContent(options: { readonly headers?: Readonly<Record<string, string>> } = {}): Answer<never> {
  return new Answered(204, undefined as never, options.headers)
}

/** `data` with a status (200..399, default the route's own) and headers of its own. */
export function reply<T>(
  data: T,
  options: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): Answer<T> {
  return new Answered(options.status ?? 0, data, options.headers)
}
