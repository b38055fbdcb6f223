import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, test } from 'vitest'
import { newAjv } from '../ajv.ts'

const options = { strict: false, messages: false } as const
const ours = newAjv(options)
const stock = new Ajv2020(options)
const texts = [
  '',
  'a',
  'ab',
  'abc',
  'é',
  '😀',
  '😀a',
  '😀😀',
  '😀😀😀',
  'a😀b',
  '\ud83d',
  '\ude00',
  '\ud83d\ud83d',
  '\ude00\ud83d',
  'x\ud83d',
]

test.each(['minLength', 'maxLength'])('%s counts characters exactly as ajv does, at every limit', (keyword) => {
  for (const limit of [0, 1, 2, 3, 4, 5, 6]) {
    const schema = { type: 'string', [keyword]: limit }
    const [one, other] = [ours.compile(schema), stock.compile(schema)]
    for (const text of texts) expect([limit, text, one(text)]).toEqual([limit, text, other(text)])
  }
})

test('a text of the wrong length is reported with the limit', () => {
  const check = ours.compile({ type: 'object', properties: { name: { type: 'string', minLength: 2, maxLength: 3 } } })
  expect(check({ name: '😀' })).toBe(false)
  expect(check.errors).toMatchObject([{ keyword: 'minLength', instancePath: '/name', params: { limit: 2 } }])
  expect(check({ name: '😀😀😀😀' })).toBe(false)
  expect(check.errors).toMatchObject([{ keyword: 'maxLength', instancePath: '/name', params: { limit: 3 } }])
})
