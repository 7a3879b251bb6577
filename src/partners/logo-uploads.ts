import { type NextFunction, type Request, type Response, Router } from 'express'
import multer from 'multer'
import { isGenuine } from '../web/forms.js'
import { textsOf } from './forms.js'
import { type Logo, longestLogo, readLogo, tooLong } from './logo.js'

/**
 * Takes in the forms that carry a logo. Mount it behind the login and before the check of the form's token: that stands
 * in the form before the file, and without it nothing is read.
 */
export function logoUploads() {
  const upload = multer({
    storage: multer.memoryStorage(),
    fileFilter: (req, _file, done) => done(null, isGenuine(req)),
    // A logo that waits in the form as text is a third longer than its bytes.
    limits: { fileSize: longestLogo, fieldSize: 2 * longestLogo, files: 1, fields: 20, parts: 21 },
  }).single('logo')

  const routes = Router()
  routes.post(['/partners', '/partners/:id'], (req: Request, res: Response, next: NextFunction) => {
    upload(req, res, (error: unknown) => {
      if (!(error instanceof multer.MulterError)) return next(error)
      res.locals.logoProblem =
        error.code === 'LIMIT_FILE_SIZE' ? tooLong : 'This upload cannot be read. Choose one picture.'
      next()
    })
  })
  return routes
}

/** What a form wants with the logo. */
export interface LogoWish {
  /** Another one, none (`null`), or the one that is there (`undefined`). */
  logo: Logo | null | undefined
  /** Why the file is no logo; empty where nothing is wrong. */
  problem: string
  /** The logo once more, for a form that is shown again because something else is wrong: a browser keeps no file. */
  kept: string
}

/** Reads what {@link logoUploads} took in. */
export function logoWish(req: Request, res: Response): LogoWish {
  const { logo_kept = '', remove_logo } = textsOf(req.body)
  const nothing = { logo: undefined, problem: '', kept: '' }
  const problem = res.locals.logoProblem as string | undefined
  if (problem) return { ...nothing, problem }
  const bytes = req.file?.buffer ?? (logo_kept === '' ? null : Buffer.from(logo_kept, 'base64'))
  if (bytes === null) return { ...nothing, logo: remove_logo === '1' ? null : undefined }
  const logo = readLogo(bytes)
  if (typeof logo === 'string') return { ...nothing, problem: logo }
  return { logo, problem: '', kept: logo.bytes.toString('base64') }
}
