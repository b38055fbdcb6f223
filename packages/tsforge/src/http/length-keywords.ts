import type { Ajv2020, CodeKeywordDefinition, _ as Code } from 'ajv/dist/2020.js'

/**
 * `minLength` and `maxLength` count characters, not UTF-16 units (JSON Schema 2020-12 validation, section 6.3). Ajv's own
 * walk through every text; these do so only where the number of units, which is cheap, leaves the question open: a
 * text has at least half as many characters as units, and never more.
 */
export function addLengthKeywords(ajv: Ajv2020, code: typeof Code): void {
  const keyword = (name: string, fails: CodeKeywordDefinition['code']): void => {
    ajv.removeKeyword(name)
    ajv.addKeyword({
      keyword: name,
      type: 'string',
      schemaType: 'number',
      error: { message: '', params: ({ schemaCode }) => code`{limit: ${schemaCode}}` },
      code: fails,
    })
  }
  keyword('maxLength', (cxt) => {
    const count = cxt.gen.scopeValue('func', { ref: characters })
    cxt.fail(code`${cxt.data}.length > ${cxt.schemaCode} && ${count}(${cxt.data}) > ${cxt.schemaCode}`)
  })
  keyword('minLength', (cxt) => {
    const count = cxt.gen.scopeValue('func', { ref: characters })
    cxt.fail(code`${cxt.data}.length < ${cxt.schemaCode} * 2 && ${count}(${cxt.data}) < ${cxt.schemaCode}`)
  })
}

function characters(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; count++) at += text.codePointAt(at)! > 0xffff ? 2 : 1
  return count
}
