/** One statement of a file and the line (from 1) on which it starts. */
export interface SqlStatement {
  readonly text: string
  readonly line: number
}

const wordPattern = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
const routine = /^create\s+(?:or\s+replace\s+)?(?:function|procedure)\b/i

/**
 * Splits a script at its top-level semicolons, as psql does: strings, quoted names, dollar quotes, comments
 * (nested), parentheses and `begin atomic` bodies keep theirs. Statements are sent one by one, because a
 * multi-statement query is one implicit transaction, and so that an error can name its line. Linear time.
 */
export function splitStatements(sql: string): SqlStatement[] {
  const statements: SqlStatement[] = []
  let line = 1
  let counted = 0
  let start = -1
  let parens = 0
  let atomic = 0
  let previous = ''
  let at = 0

  const lineOf = (index: number): number => {
    for (; counted < index; counted++) if (sql.charCodeAt(counted) === 10) line++
    return line
  }
  const finish = (end: number): void => {
    if (start >= 0) statements.push({ text: sql.slice(start, end).trimEnd(), line: lineOf(start) })
    start = -1
    parens = atomic = 0
    previous = ''
  }

  while (at < sql.length) {
    const char = sql[at] as string
    if (char === '-' && sql[at + 1] === '-') {
      at = indexAfter(sql, '\n', at)
      continue
    }
    if (char === '/' && sql[at + 1] === '*') {
      at = commentEnd(sql, at)
      continue
    }
    if (/\s/.test(char)) {
      at++
      continue
    }
    if (char === ';' && parens === 0 && atomic === 0) {
      finish(at)
      at++
      continue
    }
    if (start < 0) start = at

    wordPattern.lastIndex = at
    const word = wordPattern.exec(sql)?.[0]
    if (word !== undefined) {
      at += word.length
      const lower = word.toLowerCase()
      if (sql[at] === "'" && lower === 'e') at = escapeStringEnd(sql, at)
      else if (lower === 'atomic' && previous === 'begin' && routine.test(sql.slice(start, start + 64))) atomic = 1
      else if (atomic > 0 && lower === 'case') atomic++
      else if (atomic > 0 && lower === 'end') atomic--
      previous = lower
      continue
    }
    previous = ''
    if (char === "'" || char === '"') at = indexAfter(sql, char, at + 1)
    else if (char === '$') at = dollarEnd(sql, at)
    else {
      if (char === '(') parens++
      else if (char === ')' && parens > 0) parens--
      // `$1`-like digits and all other signs mean nothing here.
      at++
    }
  }
  finish(sql.length)
  return statements
}

/** The line on which PostgreSQL saw the fault: `position` counts characters of the statement from 1; anything else means unknown. */
export function lineOfPosition(statement: SqlStatement, position: number): number {
  if (!(position > 0)) return statement.line
  return statement.line + statement.text.slice(0, position - 1).split('\n').length - 1
}

// A doubled quote ends one literal and begins the next; to a splitter that is the same as one literal.
function indexAfter(sql: string, text: string, from: number): number {
  const found = sql.indexOf(text, from)
  return found < 0 ? sql.length : found + text.length
}

function escapeStringEnd(sql: string, quote: number): number {
  for (let at = quote + 1; at < sql.length; at++) {
    if (sql[at] === '\\') at++
    else if (sql[at] === "'") return at + 1
  }
  return sql.length
}

function dollarEnd(sql: string, at: number): number {
  dollarTag.lastIndex = at
  const tag = dollarTag.exec(sql)?.[0]
  return tag === undefined ? at + 1 : indexAfter(sql, tag, at + tag.length)
}

function commentEnd(sql: string, at: number): number {
  let depth = 0
  for (; at < sql.length; at++) {
    if (sql[at] === '/' && sql[at + 1] === '*') {
      depth++
      at++
    } else if (sql[at] === '*' && sql[at + 1] === '/') {
      at++
      if (--depth === 0) return at + 1
    }
  }
  return sql.length
}
