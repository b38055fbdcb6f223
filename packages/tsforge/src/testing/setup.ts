/**
 * One database server for a whole test run: `globalSetup: ['tsforge/testing/setup']` in vitest's config. Without
 * it each worker starts a server of its own, which costs a second each.
 */
import { openTarget, serverVariable } from './server.ts'
import type { OpenedTarget } from './server.ts'

let opened: OpenedTarget | undefined

export async function setup(): Promise<void> {
  opened = await openTarget()
  if (opened.target.kind === 'server') process.env[serverVariable] = opened.target.url
}

export async function teardown(): Promise<void> {
  await opened?.close()
}
