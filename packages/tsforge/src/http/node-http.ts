import type * as nodeHttp from 'node:http'

/** `import` reads all exports of node:http, and one of them loads the whole of undici: 30 ms of every start. */
export const http: typeof nodeHttp = process.getBuiltinModule('node:http')
