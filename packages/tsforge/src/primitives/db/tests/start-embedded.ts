// Run in a process of its own: starts the server of a folder, says where, and stays until its input closes.
import { startEmbedded } from '../drivers/embedded.ts'

const [dir] = process.argv.slice(2)
const server = await startEmbedded({ dir: dir!, durable: false })
process.stdout.write(`${JSON.stringify({ url: server.url(), pid: server.pid, owned: server.owned })}\n`)
process.stdin.resume()
process.stdin.once('end', () => void server.stop().then(() => process.exit(0)))
