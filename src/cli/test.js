// `npm test` and `npm run check`: everything that has to hold, one step after another, stopping at the first
// that does not. What a step prints is shown as it is.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build, checkNode, install, orSayWhy, Refused, root, run } from './prepare.js'

/** @param {string} file a program of an installed package */
const tool = (file) => join(root, 'node_modules', file)

/** Where vitest leaves its figures for the last line. */
const results = join(root, 'coverage', 'results.json')

/** @typedef {{ title: string, args: string[], env?: NodeJS.ProcessEnv }} Step */

/** @type {Step[]} */
const checks = [
  { title: 'Types', args: [tool('typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json'] },
  { title: 'Lint and format', args: [tool('@biomejs/biome/bin/biome'), 'check', '.'] },
  {
    title: 'Dependency rules',
    args: [
      tool('dependency-cruiser/bin/dependency-cruise.mjs'),
      'src',
      'migrations',
      '--config',
      '.dependency-cruiser.cjs',
    ],
  },
]

/** @type {Step} */
const tests = {
  title: 'Tests',
  args: [
    tool('vitest/vitest.mjs'),
    'run',
    '--coverage',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
  ],
}

/** It measures, and judges nothing; a small round proves that it still runs. */
/** @type {Step} */
const bench = {
  title: 'Benchmark, small',
  args: [tool('tsx/dist/cli.mjs'), 'tests/bench/main.ts', '--size', 'small'],
  env: { ...process.env, NODE_ENV: 'production' },
}

/** @param {Step} step */
async function hold({ title, args, env }) {
  console.log(`\n── ${title}`)
  const started = Date.now()
  const code = await run(args, { env })
  if (code !== 0) throw new Refused(`\n✗ ${title}: failed, and what it says stands above.`)
  console.log(`✓ ${title} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
}

await orSayWhy(async () => {
  checkNode()
  // The tests set what they mean; a production setting of the shell around them is not meant.
  delete process.env.NODE_ENV
  await install()
  for (const step of checks) await hold(step)
  if (process.argv[2] === 'check') return

  // The tests that start the real process start this build.
  await build()
  mkdirSync(join(root, 'coverage'), { recursive: true })
  rmSync(results, { force: true })
  try {
    await hold(tests)
  } catch (error) {
    if (error instanceof Refused) error.message += `\n\n${countOf(results)}`
    throw error
  }
  if (existsSync(join(root, 'tests/bench/main.ts'))) await hold(bench)
  console.log(`\n${countOf(results)}`)
})

/**
 * @param {string} file vitest's figures as JSON
 * @returns {string} such as `312 passed, 0 failed`
 */
function countOf(file) {
  try {
    const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(file, 'utf8'))
    // A file that cannot even be loaded has no tests to count, and is a failure all the same.
    return `${numPassedTests} passed, ${numFailedTests || numFailedTestSuites} failed`
  } catch {
    return '0 passed, 1 failed'
  }
}
