import { describe, expect, it } from 'vitest'
import { checkPassword, hashPassword, passwordComplaint } from '../../src/accounts/passwords.js'

const complaint = (password: string) => passwordComplaint(password, { username: 'maren' })

describe('passwords', () => {
  it.each([
    'a quiet harbour at dusk',
    'Tr1ckier-than-it-looks',
    'zwölf Boxkämpfer jagen',
    '7305918264',
    'öäüßéèàçñå',
    'vmq8rk2xwz',
  ])('takes %j', (password) => expect(complaint(password)).toBeNull())

  it.each([
    ['short one', 'at least 10'],
    ['ééééééééé', 'at least 10'],
    ['x'.repeat(99) + 'yz'.repeat(60), 'under 201'],
    ['Maren1234567', 'contains the name'],
    ['aaaaaaaaaaaa', 'repeats'],
    ['ada1ada1ada1', 'repeats'],
    ['121212121212', 'repeats'],
    ['1234567890', 'row of keys'],
    ['0987654321', 'row of keys'],
    ['QWERTYUIOP', 'row of keys'],
    ['1qaz2wsx3edc', 'row of keys'],
    ['abcdefghij', 'row of keys'],
    ['Password123', 'guess'],
    ['P@ssw0rd2024!', 'guess'],
    ['password123456', 'guess'],
    ['Welcome2026', 'guess'],
    ['iloveyou123', 'guess'],
    ['letmein12345', 'guess'],
    ['adminpassword', 'guess'],
    ['Summer-2026!!', 'guess'],
    ['1q2w3e4r5t', 'guess'],
    ['correct horse battery staple', 'guess'],
    ['throughline2026', 'guess'],
    ['qwerty12345', 'guess'],
    ['changeme-now', 'guess'],
  ])('refuses %j', (password, reason) => expect(complaint(password)).toContain(reason))

  it('are hashed with argon2id, and the same whichever way a letter was typed', async () => {
    const hash = await hashPassword('na\u00efve sailors rest')
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(await checkPassword(hash, 'nai\u0308ve sailors rest')).toBe(true)
    expect(await checkPassword(hash, 'naive sailors rest')).toBe(false)
    expect(await checkPassword(undefined, 'naive sailors rest')).toBe(false)
  })
})
