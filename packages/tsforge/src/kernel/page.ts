/** The words in which the wire and the database speak about pages. Types only. */

/** One term of an order; a column name as the wire and the table know it. */
export interface OrderTerm {
  readonly column: string
  readonly direction: 'asc' | 'desc'
}

/** The sort values of one row, tie-break last, in PostgreSQL's text form (which loses nothing); `null` for SQL null. */
export type CursorKeys = readonly (string | null)[]

export type PagePosition =
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'after' | 'before'; readonly keys: CursorKeys }

/** Which page is wanted. `limit` is already clamped. */
export interface PageRequest {
  readonly limit: number
  readonly order: readonly OrderTerm[]
  /** Absent for the first page. */
  readonly position?: PagePosition | undefined
  /** Count all rows as well; costs a second statement. */
  readonly total?: boolean
}

/** One page of rows, in the order that was asked for. */
export interface Slice<T> {
  readonly items: T[]
  /** Where the next page starts; `undefined` on the last one. */
  readonly next: CursorKeys | undefined
  /** Where the page before ends; `undefined` on the first one. */
  readonly previous: CursorKeys | undefined
  readonly total: number | undefined
}
