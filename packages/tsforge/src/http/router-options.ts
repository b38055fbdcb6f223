import { parseQuery } from './query.ts'
import type { Query } from './query.ts'

export interface RouterOptions {
  readonly ignoreTrailingSlash: boolean
  readonly ignoreDuplicateSlashes: boolean
  readonly caseSensitive: boolean
  readonly useSemicolonDelimiter: boolean
  readonly allowUnsafeRegex: boolean
  readonly maxParamLength: number
  readonly querystringParser: (text: string) => Query
}

/** One spelling, one address: no second reading of case, slashes or semicolons. */
export const routerOptions: RouterOptions = {
  ignoreTrailingSlash: false,
  ignoreDuplicateSlashes: false,
  caseSensitive: true,
  useSemicolonDelimiter: false,
  allowUnsafeRegex: false,
  maxParamLength: 512,
  querystringParser: parseQuery,
}
