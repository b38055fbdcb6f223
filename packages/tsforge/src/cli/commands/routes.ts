import { withApp } from '../app.ts'
import type { Command } from '../command.ts'

export const routes: Command = {
  usage: '',
  flags: {},
  examples: ['forge routes', 'forge routes --json | jq ".routes[].url"'],
  async run({ cwd, terminal }) {
    const list = await withApp(cwd, async (app) =>
      app.routes.map(({ method, url, id, access, tenant, summary }) => ({ method, url, id, access, tenant, summary })),
    )
    terminal.answer({ routes: list }, () =>
      terminal.table(list.map((each) => [each.method, each.url, each.access, each.summary])),
    )
  },
}
