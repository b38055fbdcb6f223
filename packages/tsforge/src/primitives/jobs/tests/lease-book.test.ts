import { expect, it } from 'vitest'
import { LeaseBook } from '../drivers/postgres/lease-book.ts'

it('a lease is closed by one statement, with its last reports', () => {
  const book = new LeaseBook()
  book.granted(1, 3)
  const [first, last] = [new Map([[1, 1]]), new Map([[1, 2]])]
  expect(book.close(first).size).toBe(0)
  // The first is still under way: whether it counts is not known.
  expect(book.close(last).size).toBe(0)
  book.settled(first)
  book.settled(last)
  expect([...book.close(new Map()).keys()]).toEqual([1])
  expect(book.close(new Map()).size).toBe(0)
})

it('a lease whose closing has failed is closed by the next', () => {
  const book = new LeaseBook()
  book.granted(1, 1)
  const closed = book.close(new Map([[1, 1]]))
  book.reopen(closed)
  expect(book.close(new Map())).toEqual(new Map())
  expect(book.close(new Map([[1, 1]]))).toEqual(closed)
})
