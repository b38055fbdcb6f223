import { createRequire } from 'node:module'
import type { Ajv2020, Options, _ as Code } from 'ajv/dist/2020.js'
import { addLengthKeywords } from './length-keywords.ts'

const require = createRequire(import.meta.url)

/** Makes an ajv of JSON Schema 2020-12. Its hundred modules are loaded with the first schema that is compiled, not at the start. */
export function newAjv(options: Options): Ajv2020 {
  const module = require('ajv/dist/2020.js') as { Ajv2020: new (given: Options) => Ajv2020; _: typeof Code }
  const ajv = new module.Ajv2020(options)
  addLengthKeywords(ajv, module._)
  return ajv
}
