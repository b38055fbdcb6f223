import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineErrors } from '../errors.ts'
import { createI18n, missingMessages, negotiateLocale } from '../i18n.ts'

describe('Accept-Language', () => {
  const locales = ['en', 'id', 'pt-BR']
  test.each([
    [undefined, 'en'],
    ['', 'en'],
    ['id', 'id'],
    ['ID-id', 'id'],
    ['fr, id;q=0.5', 'id'],
    ['id;q=0.4, en;q=0.7', 'en'],
    ['en;q=0.7 , id ; q=0.9', 'id'],
    ['en;q=0.7,id\t;\tQ=0.900', 'id'],
    ['id, en', 'id'],
    ['en, id', 'en'],
    ['fr', 'en'],
    ['*', 'en'],
    ['*;q=0.5, id;q=0.4', 'en'],
    ['en;q=0, *', 'id'],
    ['en;q=0, id;q=0, *', 'pt-BR'],
    ['en;q=0', 'en'],
    ['*;q=0', 'en'],
    ['pt', 'pt-BR'],
    ['pt-PT', 'pt-BR'],
    ['en-US;q=0, id;q=0.1', 'id'],
    ['en-US,en;q=0.9,id;q=0.95', 'en'],
    ['id;q=1.5, en;q=0.1', 'en'],
    ['id;q=0.1234, en;q=0.1', 'en'],
    ['id;level=1;q=0.5, en;q=0.1', 'en'],
    ['id_ID, en;q=0.1', 'en'],
    [',,, ,id', 'id'],
  ])('%j is answered in %s', (header, locale) => {
    expect(negotiateLocale(header, locales)).toBe(locale)
  })

  test('anything may be sent, and the answer is a locale of the app', () => {
    const token = fc.constantFrom(
      'en',
      'id',
      '*',
      '-',
      ';',
      'q=',
      '0.5',
      ',',
      ' ',
      '\t',
      'EN-us',
      'x'.repeat(9),
      '=',
      '\0',
    )
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 200 }).map((parts) => parts.join('')),
        (header) => locales.includes(negotiateLocale(header, locales)),
      ),
    )
    fc.assert(fc.property(fc.string(), (header) => locales.includes(negotiateLocale(header, locales))))
  })

  test('what is behind the bounds is not read', () => {
    expect(negotiateLocale(`${'xx,'.repeat(40)}id`, locales)).toBe('en')
    expect(negotiateLocale(`fr${' '.repeat(2000)},id`, locales)).toBe('en')
    expect(negotiateLocale(`${'xx,'.repeat(20)}id`, locales)).toBe('id')
  })
})

const errors = defineErrors({
  'shop.sold_out': { status: 409, message: { en: 'Only {left} left.', id: 'Sisa {left}.' } },
  'shop.plain': { status: 400, message: 'English alone.' },
})

describe('sentences', () => {
  const german = { locale: 'de', messages: { 'shop.sold_out': 'Nur noch {left}.' } }
  const soldOut = errors.error('shop.sold_out', { meta: { left: 3 } })

  test('come in the language that was asked for, and say which one it is', () => {
    const i18n = createI18n({ bundles: [german] })
    expect(i18n.say(soldOut, 'id')).toEqual({ text: 'Sisa 3.', locale: 'id' })
    expect(i18n.say(soldOut, 'de')).toEqual({ text: 'Nur noch 3.', locale: 'de' })
    expect(i18n.say(soldOut, 'de-AT')).toEqual({ text: 'Nur noch 3.', locale: 'de' })
    expect(i18n.say(soldOut, 'fr')).toEqual({ text: 'Only 3 left.', locale: 'en' })
    expect(i18n.say(errors.error('shop.plain'), 'de')).toEqual({ text: 'English alone.', locale: 'en' })
    expect(i18n.say(soldOut, 'constructor').locale).toBe('en')
  })

  test('of a bundle go before those of the catalogue, the later bundle first', () => {
    const own = { locale: 'en', messages: { 'shop.sold_out': 'Just {left}!' } }
    const later = { locale: 'en', messages: { 'shop.sold_out': '{left}!' } }
    expect(createI18n({ bundles: [own] }).say(soldOut, 'en').text).toBe('Just 3!')
    expect(createI18n({ bundles: [own, later] }).say(soldOut, 'en').text).toBe('3!')
  })

  test('a bundle makes its language negotiable', () => {
    const i18n = createI18n({ bundles: [german] })
    expect(i18n.locales).toEqual(['en', 'id', 'de'])
    expect([i18n.negotiate('de-CH, en;q=0.5'), i18n.negotiate('de-CH, en;q=0.5'), i18n.negotiate(undefined)]).toEqual([
      'de',
      'de',
      'en',
    ])
    expect(createI18n({ locales: ['id', 'en'] }).negotiate('fr')).toBe('id')
  })

  test('a bundle that fits no catalogue is refused', () => {
    expect(() =>
      createI18n({ catalogues: [errors], bundles: [{ locale: 'de', messages: { 'shop.sold_uot': 'x' } }] }),
    ).toThrow(/no error has the code "shop.sold_uot"/)
    expect(() =>
      createI18n({ catalogues: [errors], bundles: [{ locale: 'de', messages: { 'shop.sold_out': '{rest}' } }] }),
    ).toThrow(/has no \{rest\}/)
    expect(() => createI18n({ locales: ['no_tag'] })).toThrow(RangeError)
  })

  test('what has no translation can be listed', () => {
    expect(missingMessages('id', [errors])).toEqual(['shop.plain'])
    expect(missingMessages('de', [errors], [german])).toEqual(['shop.plain'])
    expect(missingMessages('en', [errors])).toEqual([])
  })
})
