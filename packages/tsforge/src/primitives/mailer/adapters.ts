import { mailerErrors } from './errors.ts'
import { Html } from './html.ts'

/**
 * React components as mails, by the `render` of `@react-email/render` (or anything alike), which the product brings:
 * `const react = reactEmail(render)`, then in a template `html: await react(createElement(Welcome, data))`.
 */
export function reactEmail<Element>(
  render: (element: Element) => string | Promise<string>,
): (element: Element) => Promise<Html> {
  return async (element) => new Html(await render(element))
}

/** What `mjml` gives. */
export interface MjmlOutput {
  readonly html: string
  readonly errors?: readonly { readonly formattedMessage?: string; readonly message?: string }[]
}

/**
 * MJML as mails, by the package `mjml`, which the product brings: `const toHtml = mjml(mjml2html)`, then
 * `` html: await toHtml(html`<mjml>…`) ``, where `html` escapes the values. Throws `mailer.template_invalid` where MJML finds a fault.
 */
export function mjml(compile: (source: string) => MjmlOutput | Promise<MjmlOutput>): (source: Html) => Promise<Html> {
  return async (source) => {
    const { html, errors = [] } = await compile(source.toString())
    const [first] = errors
    if (first !== undefined) {
      const reason = `MJML: ${first.formattedMessage ?? first.message ?? 'a fault'}`
      throw mailerErrors.error('mailer.template_invalid', { meta: { reason } })
    }
    return new Html(html)
  }
}
