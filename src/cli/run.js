// `npm start` and its siblings: prepare, then become the program. It is imported into this very process, so
// signals reach it and nothing else stays in memory.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, checkNode, install, orSayWhy, Refused, root, run } from './prepare.js'

/** The compiled file behind each command. */
const programs = new Map([
  ['main', 'dist/src/main.js'],
  ...['demo', 'rebuild-counts', 'judge', 'sync', 'job', 'backup', 'restore', 'user', 'token'].map(
    (name) => /** @type {[string, string]} */ ([name, `dist/src/cli/${name}.js`]),
  ),
])

const tsx = join(root, 'node_modules/tsx/dist/cli.mjs')

await orSayWhy(async () => {
  checkNode()
  const [command = 'main', ...args] = process.argv.slice(2)
  await install()
  if (command === 'dev') {
    const watched = ['views/**/*', 'static/**/*', '.env'].flatMap((files) => ['--include', files])
    const env = { ...process.env, NODE_ENV: 'development' }
    process.exitCode = await run([tsx, 'watch', '--clear-screen=false', ...watched, 'src/main.ts', ...args], {
      env,
    })
    return
  }

  if (command === 'stand-in') {
    const named = args[0] !== undefined && !args[0].startsWith('-')
    const provider = named ? args[0] : 'buttondown'
    if (provider !== 'buttondown' && provider !== 'emailoctopus')
      throw new Refused(`Nobody stands in for "${provider}", only for buttondown and emailoctopus.`)
    process.exitCode = await run([tsx, `tests/stand-ins/${provider}.ts`, ...args.slice(named ? 1 : 0)])
    return
  }

  await build()
  process.env.NODE_ENV ??= 'production'
  if (command === 'bench' || command === 'soak') {
    const file = command === 'bench' ? 'tests/bench/main.ts' : 'tests/bench/soak.ts'
    process.exitCode = await run([tsx, file, ...args])
    return
  }
  const file = programs.get(command)
  if (!file) throw new Refused(`There is no command "${command}".`)
  const path = join(root, file)
  if (!existsSync(path)) throw new Refused(`${file} is missing from the build.`)
  // npm passes a signal to the shell between, and the shell may end without passing it on. Whoever has lost the parent
  // that npm gave it ends in order, as at a signal of its own.
  if (process.env.npm_lifecycle_event) {
    const parent = process.ppid
    const watch = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(watch)
      process.kill(process.pid, 'SIGTERM')
    }, 500)
    watch.unref()
  }
  // As if it had been called directly: its arguments begin at process.argv[2].
  process.argv.splice(1, process.argv.length - 1, path, ...args)
  await import(pathToFileURL(path).href)
})
