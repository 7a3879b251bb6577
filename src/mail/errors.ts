import { HttpError } from '../web/errors.js'

/** No mail server is known, or its password cannot be read; the message says where to enter it. */
export class MailNotSet extends HttpError {
  constructor(message: string) {
    super(409, message, 'No mail server')
  }
}

/** The mail server could not be reached, or refused. */
export class MailFailed extends HttpError {
  /** @param lasting true where the same letter would be refused again */
  constructor(
    message: string,
    readonly lasting: boolean,
  ) {
    super(502, message, 'The e-mail was not sent')
  }
}
