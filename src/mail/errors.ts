import { HttpError } from '../web/errors.js'

/** No mail server is known, or its password cannot be read; the message says where to enter it. */
export class MailNotSet extends HttpError {
  constructor(message: string) {
    super(409, message, 'No mail server')
  }
}

/** The mail server could not be reached, or refused. */
export class MailFailed extends HttpError {
  /** True where the same letter would be refused again. */
  readonly lasting: boolean
  /** True where the whole letter was handed over and no answer came: it may be on its way, or not. */
  readonly unsure: boolean

  constructor(message: string, { lasting = false, unsure = false } = {}) {
    super(502, message, 'The e-mail was not sent')
    this.lasting = lasting
    this.unsure = unsure
  }
}
