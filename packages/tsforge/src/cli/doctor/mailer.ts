import type { Mailer } from '../../primitives/mailer/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Connects to the mail server and signs in, and sends nothing. */
export async function examineMailer(mailer: Mailer): Promise<Finding> {
  const name = 'mailer'
  const { driver } = mailer
  if (!driver.capabilities.delivers) return fine(name, `${driver.name}: mails reach nobody`)
  const began = performance.now()
  try {
    await mailer.verify()
    return fine(name, `${driver.name}: connected and signed in within ${(performance.now() - began).toFixed(0)} ms`)
  } catch (error) {
    const { cause } = error as { cause?: { message?: string } }
    return { ...broken(name, error), detail: cause?.message ?? (error as Error).message }
  }
}
