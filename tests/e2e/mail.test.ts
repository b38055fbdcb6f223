import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import { hasChromium, openChromium } from './chromium.ts'
import { appFolder, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

/** Where pictures of the pages go; nowhere unless asked for. */
const pictures = process.env['FORGE_TEST_PICTURES']

describe.runIf(hasChromium)('the inbox of development, in Chromium', () => {
  let folder: AppFolder
  let product: Product
  let browser: Browser
  beforeAll(async () => {
    folder = await appFolder()
    product = await launch({ root: folder.root })
    browser = await openChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await product?.[Symbol.asyncDispose]()
    await folder?.[Symbol.asyncDispose]()
  })

  let people = 0
  const register = async (name: string): Promise<string> => {
    const email = `person${++people}@example.com`
    const body = { email, name, password: 'correct horse battery staple 9' }
    expect((await product.ask('POST', '/api/v1/auth/register', { body })).status).toBe(201)
    return email
  }
  /** A page on which nothing may go wrong. */
  const openInbox = async (width: number, height: number): Promise<{ page: Page; faults: string[] }> => {
    const page = await browser.newPage({ viewport: { width, height } })
    const faults: string[] = []
    page.on('pageerror', (error) => void faults.push(error.message))
    page.on('console', (line) => void (line.type() === 'error' && faults.push(line.text())))
    await page.goto(`${product.url}/dev/mail`)
    return { page, faults }
  }
  const picture = async (page: Page, name: string): Promise<void> => {
    if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png` })
  }
  const tab = (page: Page, name: string | RegExp): Promise<void> => page.getByRole('tab', { name }).click()

  it('shows a mail as soon as it is sent, in all its sides, on a desk', async () => {
    const { page, faults } = await openInbox(1280, 800)
    const email = await register('Ada Lovelace')
    await page.locator('#list a', { hasText: email }).click()
    const mail = page.frameLocator('#mail iframe')
    expect(await mail.locator('h1').textContent()).toBe('Welcome, Ada Lovelace')
    await picture(page, 'mail-desk')
    await page.getByRole('button', { name: 'Phone width' }).click()
    expect((await page.locator('#mail iframe').boundingBox())!.width).toBe(375)
    await tab(page, 'Text')
    expect(await page.locator('#mail pre').textContent()).toContain('Your account is ready.')
    await tab(page, 'Source')
    await page.locator('#mail pre', { hasText: 'MIME-Version: 1.0' }).waitFor()
    await tab(page, 'Headers')
    await page.locator('#mail th', { hasText: 'Message-ID' }).waitFor()
    await picture(page, 'mail-headers')
    await tab(page, /Links/)
    await page.getByText('No links.').waitFor()
    expect(faults).toEqual([])
    await page.close()
  })

  it('finds, previews templates and deletes', async () => {
    const { page, faults } = await openInbox(1280, 800)
    const email = await register('Grace Hopper')
    await page.locator('#list a', { hasText: email }).waitFor()
    await page.getByLabel('Search').fill('grace')
    await page.waitForFunction(`document.querySelectorAll('#list a').length === 1`)
    await page.getByLabel('Search').fill('')
    await page.getByLabel('Preview a template').selectOption('account.new-sign-in/id')
    await page.locator('#mail h2', { hasText: 'Login baru ke akun Anda' }).waitFor()
    await page.getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByText('Choose a mail.').waitFor()
    await page.locator('#list a', { hasText: 'Login baru' }).waitFor({ state: 'detached' })
    expect(faults).toEqual([])
    await page.close()
  })

  it('fits a phone', async () => {
    const email = await register('Ada Lovelace')
    const { page, faults } = await openInbox(390, 844)
    const entry = page.locator('#list a', { hasText: email })
    await entry.waitFor()
    // One line of words, beside the title, whatever the width.
    for (const width of [320, 390]) {
      await page.setViewportSize({ width, height: 844 })
      const [title, button] = await Promise.all(
        ['h1', '#clear'].map(async (each) => (await page.locator(each).boundingBox())!),
      )
      expect(button!.height).toBeLessThan(44)
      expect(Math.abs(title!.y + title!.height / 2 - button!.y - button!.height / 2)).toBeLessThan(4)
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    }
    await picture(page, 'list-phone')
    await entry.click()
    await page.frameLocator('#mail iframe').locator('h1').waitFor()
    expect(await page.locator('#list').isVisible()).toBe(false)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
    await picture(page, 'mail-phone')
    await page.getByRole('button', { name: /Back/ }).click()
    await entry.waitFor()
    expect(faults).toEqual([])
    await page.close()
  })

  it('lets a mail do nothing but be seen', async () => {
    const email = await register('<img src=x onerror=alert(1)><script>alert(2)</script>')
    const { page, faults } = await openInbox(1280, 800)
    page.on('dialog', (dialog) => void faults.push(dialog.message()))
    await page.locator('#list a', { hasText: email }).click()
    await page.frameLocator('#mail iframe').locator('h1', { hasText: 'onerror' }).waitFor()
    const frame = page.frames().at(-1)!
    expect(await page.locator('#mail iframe').getAttribute('sandbox')).not.toContain('allow-scripts')
    expect(await page.locator('#mail iframe').getAttribute('sandbox')).not.toContain('allow-same-origin')
    expect(frame.url()).toContain('/html')
    expect(faults).toEqual([])
    await page.close()
  })
})
