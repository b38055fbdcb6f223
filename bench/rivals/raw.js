// node:http and pg with nothing around them: the reference of every ratio.
import { createServer } from 'node:http'
import { findPerson, pool, readJson, subjectOf } from './by-hand.js'
import { isOrder, port } from './facts.js'

function send(response, status, value) {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
}

const server = createServer((request, response) => {
  if (request.method === 'GET' && request.url === '/healthz') return send(response, 200, { status: 'ok' })
  if (request.method === 'GET' && request.url === '/me') {
    const id = subjectOf(request.headers.authorization)
    if (id === undefined) return send(response, 401, { error: 'unauthorized' })
    return void findPerson(id).then(
      (person) => send(response, 200, person),
      () => send(response, 500, { error: 'internal' }),
    )
  }
  if (request.method === 'POST' && request.url === '/echo') {
    return readJson(request, (value) => {
      if (value === null) return send(response, 413, { error: 'too large' })
      if (!isOrder(value)) return send(response, 400, { error: 'invalid' })
      send(response, 200, value)
    })
  }
  send(response, 404, { error: 'not found' })
})

await pool.query('select 1')
server.listen(port, '127.0.0.1')
