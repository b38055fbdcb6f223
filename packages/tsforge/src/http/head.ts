import type { HeaderList } from './security-headers.ts'

/** The standing headers of an answer: as they are looked at, and as they are sent. */
export class Head {
  readonly list: HeaderList
  readonly text: string

  constructor(list: HeaderList) {
    this.list = list
    this.text = headerText(list)
  }

  /** Without a content type: for answers that have none. */
  get bare(): HeaderList {
    const { list } = this
    const at = list.indexOf('content-type')
    return at === -1 ? list : list.toSpliced(at, 2)
  }
}

/** Header lines as they are sent. Checks nothing. */
export function headerText(list: HeaderList): string {
  let text = ''
  for (let at = 0; at < list.length; at += 2) text += `${list[at]!}: ${list[at + 1]!}\r\n`
  return text
}
