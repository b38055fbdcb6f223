import { existsSync } from 'node:fs'
import type { Browser } from 'playwright-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Path of the browser that tests use: FORGE_TEST_CHROMIUM, else that of the system. */
export const chromiumPath: string | undefined = [process.env['FORGE_TEST_CHROMIUM'], ...places].find(
  (path) => path !== undefined && existsSync(path),
)

/** Whether suites that need one can run: `describe.runIf(hasChromium)`. An error where FORGE_TEST_NO_SKIP is set. */
export const hasChromium: boolean = chromiumPath !== undefined
if (!hasChromium && process.env['FORGE_TEST_NO_SKIP'] === '1') throw new Error('no Chromium is installed')

/** A browser without windows. Pages of a test are its own, so the sandbox, which root cannot have, is left out. */
export async function openChromium(): Promise<Browser> {
  const { chromium } = await import('playwright-core')
  return chromium.launch({
    // A busy machine takes long to start one.
    timeout: 120_000,
    executablePath: chromiumPath!,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  })
}
