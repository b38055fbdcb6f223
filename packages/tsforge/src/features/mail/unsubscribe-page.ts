import { html } from '../../primitives/mailer/index.ts'
import type { Subscription } from './mail.ts'

const words = {
  en: {
    title: 'Unsubscribe',
    ask: 'Do you want no more mails of this kind?',
    button: 'Unsubscribe',
    done: 'You are unsubscribed.',
    after: 'No more mails of this kind go to this address.',
  },
  id: {
    title: 'Berhenti berlangganan',
    ask: 'Anda tidak ingin menerima surel seperti ini lagi?',
    button: 'Berhenti berlangganan',
    done: 'Anda telah berhenti berlangganan.',
    after: 'Surel seperti ini tidak akan dikirim lagi ke alamat ini.',
  },
} as const

/** CSP of the page: a style of its own and a form to itself. */
export const unsubscribePolicy: string =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** What somebody sees who follows the link of a mail. Asks only: programs follow links, too. */
export function unsubscribePage({ address, category }: Subscription, locale: string, done: boolean): string {
  const language = locale.startsWith('id') ? 'id' : 'en'
  const { title, ask, button, done: ended, after } = words[language]
  const form = html`<h1>${ask}</h1>
    <p>${address} · ${category}</p>
    <form method="post">
      <input type="hidden" name="List-Unsubscribe" value="One-Click" /><button>${button}</button>
    </form>`
  const end = html`<h1>${ended}</h1>
    <p>${after}</p>
    <p>${address} · ${category}</p>`
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 28rem; margin: 15vh auto 0; padding: 0 1rem }
h1 { font-size: 1.4rem; line-height: 1.3 }
p { color: GrayText; overflow-wrap: anywhere }
button { font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: .5rem; background: #1f5fd0; color: #fff; cursor: pointer }
button:focus-visible { outline: 3px solid #7aa7f5; outline-offset: 2px }
</style>
</head>
<body>
<main>${(done ? end : form).toString()}</main>
</body>
</html>
`
}
