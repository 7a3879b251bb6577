import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { projectRoot } from '../src/config.js'

type Cruise = {
  modules: { source: string }[]
  summary: { violations: { rule: { name: string } }[] }
}

const config = join(projectRoot, '.dependency-cruiser.cjs')
const rules: string[] = createRequire(import.meta.url)(config).forbidden.map(
  (rule: { name: string }) => rule.name,
)

/** What dependency-cruiser sees in src/ and migrations/ of a folder. */
function cruise(folder: string): Promise<Cruise> {
  const program = join(projectRoot, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const args = [program, 'src', 'migrations', '--config', config, '--output-type', 'json']
  return new Promise((done, fail) => {
    // It ends with the number of offences, which is no failure here.
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (stdout.startsWith('{')) done(JSON.parse(stdout))
      else fail(error ?? new Error(stderr))
    })
  })
}

/** For each rule a file that breaks it, and what that file imports. */
const offences: Record<string, [file: string, imported: string]> = {
  'database-knows-no-room': ['src/database/offence.ts', '../ledger/floor.js'],
  'web-knows-no-room': ['src/web/offence.ts', '../database/floor.js'],
  'config-knows-nobody': ['src/config.ts', './web/floor.js'],
  'nobody-imports-the-roof': ['src/campaigns/roof.ts', '../app.js'],
  'nobody-imports-the-process': ['src/app.ts', './main.js'],
  'migrations-stay-as-they-were': ['migrations/offence.ts', '../src/web/floor.js'],
  'only-the-database-room-migrates': ['src/ledger/migrates.ts', '../../migrations/floor.js'],
  'only-the-database-room-speaks-sqlite': ['src/ledger/sqlite.ts', 'better-sqlite3'],
  'no-circles': ['src/web/circle.ts', './circle.js'],
  'no-drawers': ['src/web/drawer.ts', './helpers/floor.js'],
  'only-what-ships': ['src/web/workshop.ts', 'workshop'],
  'no-tests-in-the-program': ['src/web/tests.ts', '../../tests/floor.js'],
  'everything-resolves': ['src/web/nowhere.ts', './nowhere-at-all.js'],
}
for (const rule of rules) {
  const room = /^(.+)-looks-down$/.exec(rule)?.[1]
  if (room) offences[rule] = [`src/${room}/offence.ts`, '../operations/floor.js']
}

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'throughline-rules-'))
  const write = (file: string, text: string) => {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    writeFileSync(join(folder, file), text)
  }
  write(
    'package.json',
    JSON.stringify({ dependencies: { 'better-sqlite3': '1' }, devDependencies: { workshop: '1' } }),
  )
  for (const name of ['better-sqlite3', 'workshop']) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }))
    write(`node_modules/${name}/index.js`, '')
  }
  for (const floor of [
    'src/database',
    'src/web',
    'src/web/helpers',
    'src/ledger',
    'src/operations',
    'migrations',
    'tests',
  ])
    write(`${floor}/floor.ts`, 'export type Floor = 1\n')
  write('src/main.ts', 'export type Floor = 1\n')
  // Only a type: an import that the compiler drops counts all the same.
  for (const [file, imported] of Object.values(offences))
    write(file, `import type { Floor } from '${imported}'\nexport type Here = Floor\n`)
})

afterAll(() => rmSync(folder, { recursive: true }))

it('reports an offence against every rule', async () => {
  const { summary } = await cruise(folder)

  const reported = new Set(summary.violations.map(({ rule }) => rule.name))
  expect([...reported].sort()).toEqual([...rules].sort())
})

it('sees every source file', async () => {
  const { modules } = await cruise(projectRoot)

  const seen = modules.map(({ source }) => source)
  const sources = ['src', 'migrations'].flatMap((part) =>
    readdirSync(join(projectRoot, part), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.[tj]s$/.test(file))
      .map((file) => join(part, file)),
  )
  expect(sources.length).toBeGreaterThan(30)
  expect(seen).toEqual(expect.arrayContaining(sources))
})
