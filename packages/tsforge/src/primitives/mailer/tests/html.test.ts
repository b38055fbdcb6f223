import { createRequire } from 'node:module'
import { render } from '@react-email/render'
import { describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { Type } from '../../../http/schema.ts'
import { defineTemplate, html, htmlToText, mjml, rawHtml, reactEmail } from '../index.ts'
import type { MjmlOutput } from '../index.ts'

// Neither brings its types.
const require = createRequire(import.meta.url)
type Element = { readonly type: unknown }
const { createElement } = require('react') as {
  createElement: (type: unknown, props: unknown, ...children: string[]) => Element
}
const mjml2html = require('mjml') as (source: string) => Promise<MjmlOutput>
const code = (error: unknown): string | undefined => (error as { code?: string }).code

describe('html', () => {
  it('escapes what people wrote, and nothing of what the template says', () => {
    const name = `<script>alert("1")</script>'\`&{{constructor.constructor('return process')()}}`
    expect(html`<p title="${name}">${name}</p>`.toString()).not.toMatch(/<script|"1"|'|`/)
    expect(html`<p>${'{{7*7}}'}</p>`.toString()).toBe('<p>{{7*7}}</p>')
    const rows = ['a', '<b>'].map((each) => html`<li>${each}</li>`)
    expect(
      html`<ul>
          ${rows}
        </ul>
        ${null}${undefined}${false}${0}${rawHtml('<hr>')}`
        .toString()
        .replace(/\s+/g, ''),
    ).toBe('<ul><li>a</li><li>&lt;b&gt;</li></ul>0<hr>')
  })

  it.each([
    'javascript:alert(1)',
    ' JaVaScript:x',
    'data:text/html,x',
    'vbscript:x',
    '//evil.example',
    '/path',
    'java\nscript:x',
  ])('lets no link lead to %j', (url) => {
    expect(() => html`<a href="${url}">x</a>`).toThrow(/template/)
    expect(() => html`<img class="a" src="${url}" />`).toThrow(/template/)
  })

  it('lets links lead to where mails can', () => {
    for (const url of ['https://a.example/?a=1&b=2', 'mailto:a@b.cd', 'tel:+431', 'cid:logo', 'HTTP://a.example'])
      expect(html`<a href="${url}">x</a>`.toString()).toContain('href="')
  })

  it('refuses places where escaping does not help', () => {
    expect(() => html`<a href=${'https://a.example'}>x</a>`).toThrow(/template/)
    expect(() => html`<p class=${'x onclick=alert(1)'}>x</p>`).toThrow(/template/)
    expect(() => html`<img ${'src=x onerror=alert(1)'} />`).toThrow(/template/)
    expect(() => html`<img alt="a > b" ${'onerror=alert(1)'} />`).toThrow(/template/)
    expect(() => html`<${'script'}>x</p>`).toThrow(/template/)
    expect(html`<p title="it is ${'>'}" ${false}>it's ${'1'} < ${'2'}</p>`.toString()).toContain("it's 1 < 2")
    expect(
      () =>
        html`<style>
          p {
            color: ${'red'};
          }
        </style>`,
    ).toThrow(/template/)
    expect(
      () =>
        html`<script>
          ${'1'}
        </script>`,
    ).toThrow(/template/)
    expect(
      html`<style>
          p {
            color: red;
          }
        </style>
        <p>${'fine = yes'}</p>`.toString(),
    ).toContain('fine')
  })
})

describe('text from HTML', () => {
  it.each([
    ['<p>a</p><p>b</p>', 'a\n\nb'],
    ['a<br>b<br/>c', 'a\nb\nc'],
    ['<h1>T</h1>\n  <p>  x \n y </p>', 'T\n\nx y'],
    ['<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>', '- a\n- b\n\n1. c\n2. d'],
    ['<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>', '- a\n\n  - b\n\n- c'],
    ['<a href="https://a.example/x?a=1&amp;b=2">here</a>', 'here (https://a.example/x?a=1&b=2)'],
    ['<a href="https://a.example">https://a.example</a>', 'https://a.example'],
    ['<a href="mailto:a@b.cd">a@b.cd</a>', 'a@b.cd'],
    ['<a href="https://a.example"><img src="x" alt="Logo"></a>', 'Logo (https://a.example)'],
    ['<a href="https://a.example"></a>', 'https://a.example'],
    ['<a href="#top">up</a>', 'up'],
    ['<head><title>no</title><style>p{}</style></head><body>yes<script>no()</script></body>', 'yes'],
    ['<!-- no --><!doctype html>yes', 'yes'],
    ['a&nbsp;b &lt;c&gt; &amp;amp; &#8364; &#x20AC; &unknown; &#0;', 'a b <c> &amp; € € &unknown;'],
    ['<blockquote><p>said</p></blockquote><p>so</p>', '> said\n\nso'],
    ['<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>', 'a b\nc'],
    ['<pre>a\n  b</pre>', 'a\n  b'],
    ['1 < 2 > 1 <3', '1 < 2 > 1 <3'],
    ['<p title="a > b">x</p>', 'x'],
    ['', ''],
  ])('%j', (source, text) => {
    expect(htmlToText(source)).toBe(text)
  })

  it('takes hostile input in time', () => {
    const before = process.threadCpuUsage()
    for (const piece of [
      '<',
      '<a ',
      '<a "',
      "<a '>",
      '<!--',
      '&',
      '<a href=',
      '</',
      '<p',
      '<ul><li>',
      '<a href="https://a.example">b</a>',
      '<blockquote>x',
      '<style>',
    ])
      expect(typeof htmlToText(piece.repeat(200_000 / piece.length))).toBe('string')
    // Of this thread's own work: a busy machine may let it stand.
    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(5000)
  })
})

describe('a template', () => {
  const texts = { en: { hello: 'Hello {name}', bye: 'Bye' }, id: { hello: 'Halo {name}' } }
  const welcome = defineTemplate({
    name: 'welcome',
    schema: Type.Object({ name: Type.String() }),
    texts,
    category: 'onboarding',
    render: ({ data, locale, t }) => ({
      subject: t('hello', data),
      html: html`<p lang="${locale}">${t('hello', { name: data.name })}. ${t('bye')}</p>`,
    }),
  })

  it('speaks the language that is asked for, that of the work, or English', async () => {
    const subject = async (locale?: string): Promise<string> =>
      (await welcome.render({ name: 'Ada' }, locale === undefined ? {} : { locale })).subject
    expect(await Promise.all(['id', 'id-ID', 'de', undefined].map(subject))).toEqual([
      'Halo Ada',
      'Halo Ada',
      'Hello Ada',
      'Hello Ada',
    ])
    expect(await runWithContext(createContext({ requestId: 'r', locale: 'id' }), () => subject())).toBe('Halo Ada')
    const { html: page, ...rest } = await welcome.render({ name: '<b>' }, { locale: 'id' })
    expect(String(page)).toBe('<p lang="id">Halo &lt;b&gt;. Bye</p>')
    expect(rest).toEqual({ subject: 'Halo <b>', locale: 'id', category: 'onboarding' })
  })

  it('refuses data that does not fit, and sentences that are not there', async () => {
    expect(await welcome.render({ name: 1 as never }).catch(code)).toBe('mailer.template_invalid')
    const wrong = { en: { a: 'x' }, id: { b: 'y' } } as never
    expect(() => defineTemplate<object>({ name: 'x', texts: wrong, render: () => ({ subject: '' }) })).toThrow(
      /template/,
    )
    expect(() => defineTemplate<object>({ name: 'X y', render: () => ({ subject: '' }) })).toThrow(/template/)
  })

  it('may be a React component', async () => {
    const Hello = ({ name }: { name: string }): Element => createElement('p', null, 'Hello ', name)
    const react = reactEmail<Element>((element) => render(element as never))
    const template = defineTemplate<{ name: string }>({
      name: 'react',
      render: async ({ data }) => ({ subject: 'x', html: await react(createElement(Hello, data)) }),
    })
    const { html: page } = await template.render({ name: '<b>' })
    expect(String(page)).toContain('&lt;b&gt;')
    expect(htmlToText(String(page))).toBe('Hello <b>')
  })

  it('may be MJML', async () => {
    const toHtml = mjml((source) => mjml2html(source))
    const page = await toHtml(
      html`<mjml
        ><mj-body
          ><mj-section
            ><mj-column><mj-text>Hello ${'<b>'}</mj-text></mj-column></mj-section
          ></mj-body
        ></mjml
      >`,
    )
    expect(htmlToText(page.toString())).toBe('Hello <b>')
    expect(
      await toHtml(
        html`<mjml
          ><mj-body><mj-nothing>x</mj-nothing></mj-body></mjml
        >`,
      ).catch(code),
    ).toBe('mailer.template_invalid')
  })
})
