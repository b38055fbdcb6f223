import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

const script = `
  import { registerHooks } from 'node:module'
  const seen = []
  registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) })
  const { createMailer, mailer } = await import('tsforge/mailer')
  const { memory } = await import('tsforge/mailer/memory')
  await import('tsforge/mailer/smtp')
  createMailer(memory(), { from: 'forge@example.com' })
  mailer()
  process.stdout.write(JSON.stringify(seen))
`

it('nothing of nodemailer is loaded before a mail is written', () => {
  const args = ['--conditions=source', '--input-type=module', '--eval', script]
  const seen = JSON.parse(
    execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' }),
  ) as string[]
  expect(seen.some((url) => url.endsWith('/drivers/smtp.ts'))).toBe(true)
  expect(seen.filter((url) => url.includes('/nodemailer/'))).toEqual([])
})
