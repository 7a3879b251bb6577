import { crc32, deflateSync } from 'node:zlib'
import type { TestApp } from './app.js'

type App = Pick<TestApp, 'db' | 'clock'>

/** A partner; say only what the test is about. */
export async function aPartner(
  { db, clock }: App,
  given: Partial<{ name: string; colour: string; emails: string; archived_at: number }> = {},
) {
  const partner = { name: 'Northwind', created_at: clock.now(), ...given }
  const { id } = await db.insertInto('partners').values(partner).returning('id').executeTakeFirstOrThrow()
  return { id, ...partner }
}

/** A project, of a partner made for it unless one is given. */
export async function aProject(
  app: App,
  given: Partial<{ name: string; partner_id: number; archived_at: number }> = {},
) {
  const partner_id = given.partner_id ?? (await aPartner(app)).id
  const project = { name: 'Autumn 2026', created_at: app.clock.now(), ...given, partner_id }
  const { id } = await app.db.insertInto('projects').values(project).returning('id').executeTakeFirstOrThrow()
  return { id, ...project }
}

/** A PNG of one colour, that any program can open. */
export function aPng({ width = 8, height = 8 } = {}) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2], 8)
  const rows = Buffer.alloc(height * (1 + 3 * width), 0x66)
  for (let row = 0; row < height; row++) rows[row * (1 + 3 * width)] = 0
  const chunk = (name: string, data: Buffer) => {
    const named = Buffer.concat([Buffer.from(name, 'latin1'), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(named))
    return Buffer.concat([length, named, sum])
  }
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}
