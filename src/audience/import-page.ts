import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type NextFunction, type Request, type Response, Router } from 'express'
import multer from 'multer'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Config } from '../config.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { number, plural } from '../web/formats.js'
import { isGenuine } from '../web/forms.js'
import {
  type ColumnRole,
  columnRoles,
  type ImportContacts,
  type Mapping,
  mostRows,
  type Reading,
  readContacts,
  type Shape,
  shapeOf,
  Unreadable,
} from './csv-import.js'

interface Needs {
  config: Pick<Config, 'DATA_DIR'>
  calendar: Calendar
  importContacts: ImportContacts
  /** Called after an import: sizes that are remembered are wrong by then. */
  changed: () => void
  now: () => number
}

const longestFile = 20 * 1024 * 1024
const longestText = 2 * 1024 * 1024
/** How long a file waits between its upload and the import, in milliseconds. */
const patience = 3_600_000

const roleWords: Record<ColumnRole, string> = {
  email: 'Address',
  name: 'Name',
  first_name: 'First name',
  last_name: 'Last name',
  tags: 'Tags',
  subscribed: 'Day they subscribed',
  list: 'Name of a list',
}

/**
 * Files wait here between upload and import, in a folder that only the server's own user can open. A name says whose the
 * file is, and when it came; nobody can guess it.
 */
function waitingRoom({ config, now }: Pick<Needs, 'config' | 'now'>) {
  const folder = join(config.DATA_DIR, 'imports')
  const open = () => mkdir(folder, { recursive: true, mode: 0o700 })
  return {
    folder,
    open,
    newName: (account: number) => `${account}-${now()}-${randomBytes(16).toString('hex')}.csv`,
    /** What the address of its preview says of a file. */
    keyOf: (file: string) => file.replace(/^\d+-/, '').replace(/\.csv$/, ''),
    /** @throws NotFound for a file that is gone, too old, or somebody else's */
    async find(account: number, key: string) {
      const name = `${account}-${key}.csv`
      const at = /^(\d+)-[0-9a-f]{32}$/.exec(key)?.[1]
      const files = at ? await readdir(folder).catch(() => []) : []
      if (!files.includes(name) || now() - Number(at) > patience)
        throw new NotFound('This file is no longer here: it waits for an hour. Upload it again.')
      return join(folder, name)
    },
    remove: (path: string) => rm(path, { force: true }),
    async removeOld() {
      for (const name of await readdir(folder).catch(() => [])) {
        const at = /^\d+-(\d+)-[0-9a-f]{32}\.csv$/.exec(name)?.[1]
        if (at && now() - Number(at) > patience) await rm(join(folder, name), { force: true })
      }
    },
  }
}

/** Removes uploaded files that nobody imported, for a job. */
export const removeOldImports = (needs: Pick<Needs, 'config' | 'now'>) => waitingRoom(needs).removeOld()

/**
 * Takes uploads in. Mount it behind the login and before the check of the form's token: that stands in the form before
 * the file, and without it nothing is stored.
 */
export function importUploads(needs: Pick<Needs, 'config' | 'now'>) {
  const room = waitingRoom(needs)
  const upload = multer({
    storage: multer.diskStorage({
      destination: (_req, _file, done) => {
        room.open().then(
          () => done(null, room.folder),
          (error: Error) => done(error, ''),
        )
      },
      filename: (req, _file, done) => done(null, room.newName(accountOf(req.res!).id)),
    }),
    fileFilter: (req, _file, done) => done(null, isGenuine(req)),
    limits: { fileSize: longestFile, fieldSize: longestText, files: 1, fields: 5, parts: 6 },
  }).single('file')

  const routes = Router()
  routes.post('/audience/import', (req: Request, res: Response, next: NextFunction) => {
    upload(req, res, (error: unknown) => {
      if (!(error instanceof multer.MulterError)) return next(error)
      res.locals.uploadProblem =
        error.code === 'LIMIT_FILE_SIZE'
          ? 'The file is longer than 20 MB. Split it into several.'
          : error.code === 'LIMIT_FIELD_VALUE'
            ? 'The text is longer than 2 MB. Save it as a file and choose that.'
            : 'This upload cannot be read. Choose one CSV file.'
      next()
    })
  })
  return routes
}

const text = z.string().catch('')
const MappingForm = z.object({
  column: z
    .preprocess(
      (value) => (Array.isArray(value) ? value : [value]),
      z.array(z.enum(columnRoles).nullable().catch(null)).max(200),
    )
    .catch([]),
  header: text.transform((value) => value === '1'),
  tag: text.transform((value) => value.trim()),
  list: text.transform((value) => value.trim()),
  skip: text.transform((value) => value === '1'),
})
type MappingForm = z.infer<typeof MappingForm>

/** `/audience/import`: contacts from a CSV file, all of them or none. */
export function importPages({ config, calendar, importContacts, changed, now }: Needs) {
  const routes = Router()
  const room = waitingRoom({ config, now })

  routes.get('/audience/import', (_req, res) => showForm(res, '', ''))

  routes.post('/audience/import', async (req, res) => {
    await room.removeOld()
    const problem = (res.locals.uploadProblem as string | undefined) ?? ''
    const { pasted } = z.object({ pasted: text }).parse(req.body ?? {})
    if (problem) return showForm(res.status(422), problem, '')
    const account = accountOf(res).id
    let name = req.file?.filename
    if (!name && pasted.trim() !== '') {
      await room.open()
      name = room.newName(account)
      await writeFile(join(room.folder, name), pasted, { mode: 0o600 })
    }
    if (!name) return showForm(res.status(422), 'Choose a file, or paste some lines.', '')
    const path = join(room.folder, name)
    try {
      await shapeOf(path)
    } catch (error) {
      await room.remove(path)
      if (!(error instanceof Unreadable)) throw error
      return showForm(res.status(422), error.message, req.file ? '' : pasted)
    }
    res.redirect(303, `/audience/import/${room.keyOf(name)}`)
  })

  routes.get('/audience/import/:key', async (req, res) => {
    const shape = await shapeOf(await room.find(accountOf(res).id, req.params.key))
    const form = { column: shape.guess, header: shape.hasHeader, tag: '', list: '', skip: false }
    showPreview(res, req.params.key, shape, form, { problem: '', reading: null })
  })

  routes.post('/audience/import/:key', async (req, res) => {
    const { key } = req.params
    const path = await room.find(accountOf(res).id, key)
    const shape = await shapeOf(path)
    const form = MappingForm.parse(req.body ?? {})
    const refuse = (problem: string, reading: Reading | null = null) =>
      showPreview(res.status(422), key, shape, form, { problem, reading })

    const problem = problemOf(form)
    if (problem) return refuse(problem)
    const given = { mapping: form.column as Mapping, hasHeader: form.header, tag: form.tag, list: form.list }
    const reading = await readContacts(path, given, { calendar, now: now() })
    if (reading.errorCount > 0 && !form.skip) return refuse('', reading)
    if (reading.rows.length === 0) return refuse('No line of this file holds a contact that can be imported.')
    const counts = await importContacts(reading.rows)
    await room.remove(path)
    changed()
    tell(req, toldOf(counts, reading))
    res.redirect(303, '/audience')
  })

  routes.post('/audience/import/:key/cancel', async (req, res) => {
    await room.remove(await room.find(accountOf(res).id, req.params.key))
    tell(req, 'The file is removed. Nothing has been imported.')
    res.redirect(303, '/audience')
  })

  function showForm(res: Response, problem: string, pasted: string) {
    res.render('audience/import', { room: 'audience', problem, pasted, mostRows })
  }

  function showPreview(
    res: Response,
    key: string,
    shape: Shape,
    form: MappingForm,
    { problem, reading }: { problem: string; reading: Reading | null },
  ) {
    const rows = shape.rows + Number(shape.hasHeader) - Number(form.header)
    res.render('audience/import-preview', {
      room: 'audience',
      key,
      form,
      problem,
      rows,
      firstLine: shape.hasHeader ? shape.columns : shape.samples.map(([first]) => first ?? ''),
      columns: shape.columns.map((name, index) => ({
        name,
        samples: shape.samples[index]!.filter((value) => value.trim() !== '').map((value) =>
          value.slice(0, 80),
        ),
        role: form.column[index] ?? null,
      })),
      roles: columnRoles.map((role) => ({ role, word: roleWords[role] })),
      errors: reading?.errors ?? [],
      errorCount: reading?.errorCount ?? 0,
      good: reading?.rows.length ?? 0,
    })
  }
  return routes
}

function problemOf({ column, tag, list }: MappingForm): string {
  const addresses = column.filter((role) => role === 'email').length
  if (addresses === 0) return 'Say which column holds the address.'
  if (addresses > 1) return 'Only one column can hold the address.'
  if (tag.length > 80) return 'Keep the tag under 80 letters.'
  if (list.length > 80) return 'Keep the name of the list under 80 letters.'
  if (/[,;|]/.test(tag)) return 'A tag has no comma in its name.'
  return ''
}

function toldOf(
  { added, updated, left }: { added: number; updated: number; left: number },
  { errorCount, repeated }: Reading,
) {
  const sentences = [
    `${plural(added, 'contact is new', 'contacts are new')}, ${plural(updated, 'was known and is', 'were known and are')} brought up to date.`,
  ]
  if (left > 0) sentences.push(`${plural(left, 'person was', 'people were')} erased once and stay forgotten.`)
  if (repeated > 0)
    sentences.push(`${plural(repeated, 'line repeats', 'lines repeat')} an address and went with the first.`)
  if (errorCount > 0)
    sentences.push(`${number(errorCount)} wrong ${errorCount === 1 ? 'line is' : 'lines are'} left out.`)
  return sentences.join(' ')
}
