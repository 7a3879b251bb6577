/** A mailing as a sentence names it, also as long as only its id is known, or nothing at all. */
export const mailingName = ({
  mailing_id,
  mailing,
}: {
  mailing_id: number | null
  mailing: string | null
}) => (mailing_id === null ? 'a mailing that is not known yet' : mailing || `mailing ${mailing_id}`)
