import { EmailOctopusWorld } from '../support/emailoctopus-world.js'

/** How much an account at EmailOctopus holds. */
export interface AccountSize {
  contacts: number
  campaigns: number
  /** People whom each campaign went to. */
  recipients: number
}

const day = 86_400_000

/**
 * An account with five lists and campaigns over two years, each sent to a part of one list; of its recipients a third
 * opened, some clicked, and a few bounced or left.
 * @param until the instant of the last campaign, at the latest
 */
export function makeAccount({ contacts, campaigns, recipients }: AccountSize, until: number) {
  const world = new EmailOctopusWorld({ seed: 5, now: () => until })
  world.silently(() => {
    const lists = Array.from({ length: 5 }, (_, index) =>
      world.addList({
        name: `List ${index + 1}`,
        at: until - 800 * day,
        fields: [{ label: 'First name', tag: 'FirstName', type: 'text', fallback: null }],
        tags: ['early reader', 'press'],
      }),
    )
    const people = lists.map((list, number) =>
      Array.from({ length: Math.floor(contacts / lists.length) }, (_, index) =>
        world.addContact(list, {
          email: `reader${number}-${index}@mail${index % 23}.example`,
          at: until - 790 * day + index * 1000,
          fields: { FirstName: `Reader ${index}` },
          tags: index % 3 === 0 ? ['early reader'] : [],
        }),
      ),
    )
    for (let issue = 0; issue < campaigns; issue++) {
      const part = people[issue % lists.length]!
      const sentAt = until - day - Math.floor(((campaigns - issue) * 700 * day) / campaigns)
      const from = (issue * 131) % Math.max(1, part.length - recipients)
      const sentTo = part.slice(from, from + recipients)
      const campaign = world.addCampaign({
        subject: `Issue ${issue + 1}`,
        lists: [lists[issue % lists.length]!],
        at: sentAt - day,
        sentAt,
        recipients: sentTo,
      })
      sentTo.forEach((contact, index) => {
        const at = sentAt + 60_000 + ((index * 7919) % 172_800) * 1000
        if (index % 3 === 0) world.open(campaign, contact, { at })
        if (index % 25 === 0) world.click(campaign, contact, { at: at + 30_000 })
        if (index % 100 === 99) world.bounce(campaign, contact, { at: sentAt + 5000, kind: 'soft' })
      })
    }
  })
  return world
}
