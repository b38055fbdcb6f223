#!/usr/bin/env node
// Written so that even Node 12 can parse it: an old Node shall read a sentence, not a syntax error.
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    'forge needs Node 22.18 or newer; this is ' +
      process.version +
      '.\n' +
      'Inside of a project run it as `npx forge` or through an npm script, which use the Node that the project brings.\n' +
      'Otherwise install a current Node from https://nodejs.org/ and try again.\n',
  )
  process.exitCode = 1
} else {
  import('./launch.js')
    .then(({ launch }) => launch())
    .catch((error) => {
      process.stderr.write((error && error.stack ? error.stack : String(error)) + '\n')
      process.exitCode = 1
    })
}
