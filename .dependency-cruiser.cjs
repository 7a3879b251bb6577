// Which room may know which. Each rule here is broken on purpose by tests/support/rules, and the test command
// asserts that every one of them is reported, since a checker that sees no files would find no fault either.

/** From the ground up. A room may import those to its left, never those to its right. */
const rooms = [
  'database',
  'web',
  'ledger',
  'accounts',
  'mail',
  'partners',
  'audience',
  'campaigns',
  'mailings',
  'promos',
  'sites',
  'revenue',
  'esp',
  'reports',
  'operations',
]

const upwards = rooms.slice(1, -1).map((room, index) => ({
  name: `${room}-looks-down`,
  comment: `src/${room} may import the rooms below it: ${rooms.slice(0, index + 1).join(', ')}.`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: `^src/(${rooms.slice(index + 2).join('|')})/` },
}))

module.exports = {
  forbidden: [
    {
      name: 'database-knows-no-room',
      severity: 'error',
      from: { path: '^src/database/' },
      to: { path: '^src/', pathNot: '^src/(database/|config\\.ts$)' },
    },
    {
      name: 'web-knows-no-room',
      comment: 'Except what an error of the database means, which the error page has to tell apart.',
      severity: 'error',
      from: { path: '^src/web/' },
      to: { path: '^src/', pathNot: '^src/(web/|database/errors\\.ts$|config\\.ts$)' },
    },
    ...upwards.filter(({ name }) => name !== 'web-looks-down'),
    {
      name: 'config-knows-nobody',
      severity: 'error',
      from: { path: '^src/config\\.ts$' },
      to: { path: '^(src|migrations)/' },
    },
    {
      name: 'nobody-imports-the-roof',
      comment: 'src/app.ts, src/main.ts and the commands stand on everything, and nothing stands on them.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '^src/(app\\.ts$|main\\.ts$|cli/)' },
      to: { path: '^src/(app\\.ts$|main\\.ts$|cli/)' },
    },
    {
      name: 'nobody-imports-the-process',
      severity: 'error',
      from: { path: '^src/app\\.ts$' },
      to: { path: '^src/(main\\.ts$|cli/)' },
    },
    {
      name: 'migrations-stay-as-they-were',
      comment: 'A migration that imports today’s code would change with it.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { pathNot: '^(migrations/|node_modules/kysely/)' },
    },
    {
      name: 'only-the-database-room-migrates',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(database|cli)/' },
      to: { path: '^migrations/' },
    },
    {
      name: 'only-the-database-room-speaks-sqlite',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/database/' },
      to: { path: 'node_modules/(@types/)?better-sqlite3/' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-drawers',
      comment: 'A file that collects everything has no name of its own. Say what each piece is.',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '/(util|utils|helper|helpers|common|misc)(/|[.])', pathNot: 'node_modules/' },
    },
    {
      name: 'only-what-ships',
      comment: 'A package of the workshop (devDependencies) is not there when the program runs.',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'no-tests-in-the-program',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^tests/' },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // TypeScript 7 has no parser to lend, so swc reads the sources, types-only imports included.
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
}
