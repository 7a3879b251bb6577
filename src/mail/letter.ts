/** One e-mail to send. */
export interface Letter {
  /** One address. Several people get several letters, so that nobody reads who else got one. */
  to: string
  subject: string
  text: string
  attachments?: { filename: string; contentType: string; content: Buffer }[]
  /**
   * What makes this letter the same one when it is sent again, such as `report-delivery-12`: it becomes the Message-ID,
   * by which many mail programs show a letter once that reached them twice.
   */
  id?: string
}
