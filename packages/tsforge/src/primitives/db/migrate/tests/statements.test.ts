import { describe, expect, it } from 'vitest'
import { lineOfPosition, splitStatements } from '../statements.ts'

const texts = (sql: string): string[] => splitStatements(sql).map(({ text }) => text)

describe('splitStatements', () => {
  it('splits at top-level semicolons and drops empty statements', () => {
    expect(texts('select 1; select 2;;\n ; select 3')).toEqual(['select 1', 'select 2', 'select 3'])
  })

  it.each([
    ['strings', `select 'a;b', 'it''s;'`],
    ['escape strings', String.raw`select E'a\';b', e'\\;'`],
    ['quoted names', `select 1 as "a;""b"`],
    ['dollar quotes', 'create function f() returns int as $$ begin; return 1; end; $$ language plpgsql'],
    ['tagged dollar quotes', 'do $x1$ begin perform $$;$$; end $x1$'],
    ['parameters that look like dollar quotes', 'select $1 , $2'],
    ['comments', 'select 1 /* a; /* nested; */ ; */ + 2 -- rest; of line\n + 3'],
    ['parentheses', 'create rule r as on insert to t do also (insert into a values (1); insert into b values (2))'],
    [
      'sql-standard bodies',
      'create or replace function f(a int) returns int begin atomic select case when a > 0 then 1; end; select 2; end',
    ],
  ])('keeps the semicolons of %s', (_, sql) => {
    expect(texts(`${sql};select 9`)).toEqual([sql, 'select 9'])
  })

  it('knows the line of each statement and of a position in it', () => {
    const [first, second] = splitStatements('-- note\n\nselect 1;\n/* x\n*/\nselect\n  oops;')
    expect([first?.line, second?.line]).toEqual([3, 6])
    expect(lineOfPosition(second!, 10)).toBe(7)
    expect(lineOfPosition(second!, NaN)).toBe(6)
  })

  it('survives whatever is not closed', () => {
    for (const sql of ["select 'a", 'select $$a', 'select /* a', 'select "a', 'select (a', "select E'\\"])
      expect(texts(sql)).toHaveLength(1)
  })

  it('takes time in proportion to the length', () => {
    const sql = "insert into t values ('x', $$y$$); -- z\n".repeat(20_000)
    expect(splitStatements(sql)).toHaveLength(20_000)
  })
})
