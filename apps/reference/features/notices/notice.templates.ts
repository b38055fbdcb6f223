import { defineTemplate, html } from 'tsforge/mailer'
import type { Html, Template } from 'tsforge/mailer'
import { Type } from 'tsforge/schema'

/** A frame of tables and inline styles, which is what mail programs understand. */
function letter(locale: string, heading: string, paragraphs: readonly string[]): Html {
  const lines = paragraphs.map((text) => html`<p style="margin:0 0 14px">${text}</p>`)
  return html`<!doctype html>
    <html lang="${locale}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
      </head>
      <body style="margin:0;background:#f4f5f7">
        <table role="presentation" width="100%" cellpadding="0" cellspacing="0">
          <tr>
            <td align="center" style="padding:24px 12px">
              <table
                role="presentation"
                width="100%"
                cellpadding="0"
                cellspacing="0"
                style="max-width:520px;background:#ffffff;border-radius:10px"
              >
                <tr>
                  <td style="padding:28px;font:16px/1.5 system-ui,sans-serif;color:#1a1f27">
                    <h1 style="margin:0 0 16px;font-size:20px">${heading}</h1>
                    ${lines}
                  </td>
                </tr>
              </table>
            </td>
          </tr>
        </table>
      </body>
    </html>`
}

const welcomeData = Type.Object({ name: Type.String() })
export const welcome: Template<{ name: string }> = defineTemplate({
  name: 'account.welcome',
  schema: welcomeData,
  texts: {
    en: {
      subject: 'Welcome, {name}',
      text: 'Your account is ready. Nice to have you here.',
      notYou: 'If you did not open an account, somebody has used your address: you need not do anything.',
    },
    id: {
      subject: 'Selamat datang, {name}',
      text: 'Akun Anda sudah siap. Senang Anda bergabung.',
      notYou: 'Jika Anda tidak membuat akun, seseorang telah memakai alamat Anda: Anda tidak perlu melakukan apa pun.',
    },
  },
  sample: { name: 'Ada Lovelace' },
  render: ({ data, locale, t }) => ({
    subject: t('subject', data),
    html: letter(locale, t('subject', data), [t('text'), t('notYou')]),
  }),
})

const passwordData = Type.Object({ name: Type.String(), at: Type.String() })
export const passwordChanged: Template<{ name: string; at: string }> = defineTemplate({
  name: 'account.password-changed',
  schema: passwordData,
  texts: {
    en: {
      subject: 'Your password was changed',
      text: '{name}, the password of your account was changed at {at}. All other sessions have ended.',
      notYou: 'If it was not you, somebody knows your password: write to us at once.',
    },
    id: {
      subject: 'Kata sandi Anda telah diubah',
      text: '{name}, kata sandi akun Anda diubah pada {at}. Semua sesi lain telah berakhir.',
      notYou: 'Jika bukan Anda, seseorang mengetahui kata sandi Anda: segera hubungi kami.',
    },
  },
  sample: { name: 'Ada Lovelace', at: '2026-11-23 12:00 UTC' },
  render: ({ data, locale, t }) => ({
    subject: t('subject'),
    html: letter(locale, t('subject'), [t('text', data), t('notYou')]),
  }),
})

const signInData = Type.Object({ name: Type.String(), at: Type.String(), ip: Type.String(), device: Type.String() })
export const newSignIn: Template<{ name: string; at: string; ip: string; device: string }> = defineTemplate({
  name: 'account.new-sign-in',
  schema: signInData,
  texts: {
    en: {
      subject: 'New sign-in to your account',
      text: '{name}, somebody signed in to your account at {at} from a network that we had not seen before.',
      where: 'Address: {ip}. Device: {device}',
      notYou: 'If it was not you, change your password now: that ends all other sessions.',
    },
    id: {
      subject: 'Login baru ke akun Anda',
      text: '{name}, seseorang masuk ke akun Anda pada {at} dari jaringan yang belum pernah kami lihat.',
      where: 'Alamat: {ip}. Perangkat: {device}',
      notYou: 'Jika bukan Anda, segera ubah kata sandi: semua sesi lain akan berakhir.',
    },
  },
  sample: { name: 'Ada Lovelace', at: '2026-11-23 12:00 UTC', ip: '203.0.113.7', device: 'Firefox on Linux' },
  render: ({ data, locale, t }) => ({
    subject: t('subject'),
    html: letter(locale, t('subject'), [t('text', data), t('where', data), t('notYou')]),
  }),
})
