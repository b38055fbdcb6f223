/**
 * Runs one documentation example: imports it, says so, and asks the process to end as a supervisor would, since an
 * example may have started a server.
 */
import { pathToFileURL } from 'node:url'

await import(pathToFileURL(process.argv[2]!).href)
console.log('example finished')
process.kill(process.pid, 'SIGTERM')
