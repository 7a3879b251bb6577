import { HttpError } from '../../web/errors.js'

/** There is no browser that could print, or it does not start; the message says what to install or to set. */
export class PressUnavailable extends HttpError {
  constructor(message: string, options?: ErrorOptions) {
    super(503, `${message} The page and the CSV work without it.`, 'No PDF on this machine', options)
  }
}

/** As many reports wait as may wait. */
export class PressBusy extends HttpError {
  constructor() {
    super(503, 'Too many reports are waiting to be printed. Try again in a minute.', 'The press is busy')
  }
}

/** A report took longer than one may take. */
export class PressTimeout extends HttpError {
  /** @param limit milliseconds */
  constructor(limit: number) {
    super(
      504,
      `The PDF was not done after ${Math.round(limit / 1000)} seconds and was given up. A shorter period or fewer sections make it smaller; the page and the CSV work as they are.`,
      'This took too long',
    )
  }
}

/** The browser failed at this report, twice. */
export class PressFailed extends HttpError {
  constructor(options?: ErrorOptions) {
    super(
      500,
      'The browser failed while it printed this report. Try again; the page and the CSV work as they are.',
      'The PDF could not be printed',
      options,
    )
  }
}
