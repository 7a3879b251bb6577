/** What the installation holds of people, where, and for how long. Tables are named as they are in the database. */
export const personalData: { what: string; where: string; howLong: string }[] = [
  {
    what: 'E-mail address, name, notes and tags of a contact; what providers call it',
    where: 'contacts, contact_aliases, contact_identities, contact_tags, subscriptions',
    howLong: 'Until the contact is erased',
  },
  {
    what: 'What a contact did: events, opens, clicks, conversions, with country and device',
    where:
      'events, engagements, journeys, receptions, contact_days, sealed_journeys, sealed_receptions, sealed_contact_quarters',
    howLong:
      'Single events and engagements as set above, sums of them for good; after an erasure they count for nobody',
  },
  {
    what: 'That a removed engagement was told before: hashes of what its provider called it, and of whose, of what kind and in which minute it was',
    where: 'engagement_marks, contact_merges',
    howLong: 'For good: so that nothing is counted twice',
  },
  {
    what: 'Internet address and user agent of whoever came by an event, a click on a promo, or an open or click of a mailing',
    where: 'events, promo_clicks, engagements',
    howLong:
      'As set above. Addresses are hashes unless Settings, Privacy says raw; the salt of a month is destroyed a month after its end',
  },
  {
    what: 'Raw deliveries of Buttondown and EmailOctopus',
    where: 'inbox',
    howLong: 'As set above once they are read; those that could not be read stay until they are',
  },
  {
    what: 'Who reports were sent to, and the people in lists of their archive',
    where: 'partners, report_people, report_schedules, report_runs, report_deliveries',
    howLong: 'Until they are removed there, or the contact is erased',
  },
  {
    what: 'People who can log in: name, e-mail address, hash of the password, sealed second factor',
    where: 'accounts, two_factors, recovery_codes',
    howLong: 'For good; an account can be deactivated',
  },
  {
    what: 'Device and internet address of a session of theirs',
    where: 'sessions',
    howLong: 'Until it ends: after 30 minutes, or 30 days with “remember me”',
  },
  {
    what: 'Who logged in, exported, erased and changed settings, and from where',
    where: 'audit_log',
    howLong: 'As set above',
  },
  {
    what: 'That an address was erased, as a keyed hash',
    where: 'erasures, and the file erasures beside the database',
    howLong: 'For good: so that no sync brings it back',
  },
  {
    what: 'All of this as it was, in backups',
    where: 'the folder backups, and wherever copies are sent',
    howLong: 'As long as a backup is kept. An erasure takes effect again when one is restored',
  },
]
