import { describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from '../src/config.js'

describe('the configuration', () => {
  it('needs nothing', () => {
    expect(readConfig({})).toMatchObject({
      PORT: 3000,
      HOST: '127.0.0.1',
      BASE_URL: 'http://localhost:3000',
      TRUST_PROXY: false,
      TIME_ZONE: 'UTC',
      LOG_LEVEL: 'info',
      EXPECT_EXISTING_DATA: false,
    })
  })

  it('takes an empty variable for one that is not set', () => {
    expect(readConfig({ PORT: ' ', BASE_URL: '' })).toMatchObject({
      PORT: 3000,
      BASE_URL: 'http://localhost:3000',
    })
  })

  it('reads what is set', () => {
    expect(readConfig({ PORT: '8080' }).BASE_URL).toBe('http://localhost:8080')
    expect(readConfig({ BASE_URL: 'https://track.example.com/' }).BASE_URL).toBe('https://track.example.com')
    expect(readConfig({ TRUST_PROXY: '2' }).TRUST_PROXY).toBe(2)
    expect(readConfig({ TRUST_PROXY: 'loopback, 10.0.0.0/8' }).TRUST_PROXY).toEqual([
      'loopback',
      '10.0.0.0/8',
    ])
    expect(readConfig({ TRUST_PROXY: 'off' }).TRUST_PROXY).toBe(false)
    expect(readConfig({ EXPECT_EXISTING_DATA: '1' }).EXPECT_EXISTING_DATA).toBe(true)
  })

  it('takes the limit and the address of a provider', () => {
    expect(readConfig({})).toMatchObject({
      EMAILOCTOPUS_API_URL: 'https://api.emailoctopus.com',
      EMAILOCTOPUS_REQUESTS_PER_SECOND: 10,
    })
    const here = readConfig({
      EMAILOCTOPUS_API_URL: 'http://127.0.0.1:4020/',
      EMAILOCTOPUS_REQUESTS_PER_SECOND: '0',
    })
    expect(here).toMatchObject({
      EMAILOCTOPUS_API_URL: 'http://127.0.0.1:4020',
      EMAILOCTOPUS_REQUESTS_PER_SECOND: 0,
    })
  })

  it.each([
    [{ PORT: 'http' }, 'PORT must be a port from 0 to 65535.'],
    [{ PORT: '1e3' }, 'PORT must be a port from 0 to 65535.'],
    [{ PORT: '70000' }, 'PORT must be a port from 0 to 65535.'],
    [{ HOST: 'a b' }, 'HOST must be an address to listen on, such as 127.0.0.1 or 0.0.0.0.'],
    [
      { BASE_URL: 'track.example.com' },
      'BASE_URL must be an address without a path, such as https://track.example.com.',
    ],
    [
      { BASE_URL: 'https://a.example/path' },
      'BASE_URL must be an address without a path, such as https://track.example.com.',
    ],
    [
      { BASE_URL: 'ftp://a.example' },
      'BASE_URL must be an address without a path, such as https://track.example.com.',
    ],
    [
      { TRUST_PROXY: 'yes please' },
      'TRUST_PROXY must be "off", the number of proxies in front (1), or their addresses (10.0.0.1, loopback).',
    ],
    ...['deaf', '1.2.3.4.5', '10.0.0.0/33', '10.0.0.0/0', '::1/129', 'fe80::1%eth0', 'loopback,'].map(
      (TRUST_PROXY): [object, string] => [
        { TRUST_PROXY },
        'TRUST_PROXY must be "off", the number of proxies in front (1), or their addresses (10.0.0.1, loopback).',
      ],
    ),
    [{ SESSION_SECRET: 'short' }, 'SESSION_SECRET must be at least 32 characters.'],
    [
      { TIME_ZONE: 'Mars/Olympus' },
      'TIME_ZONE must be the name of a time zone, such as UTC or Europe/Berlin.',
    ],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be fatal, error, warn, info, debug, trace or silent.'],
    [{ EXPECT_EXISTING_DATA: 'yes' }, 'EXPECT_EXISTING_DATA must be 0 or 1.'],
    [{ ADMIN_USERNAME: 'maren' }, 'ADMIN_USERNAME and ADMIN_PASSWORD must be set together, or neither.'],
  ])('refuses %j with one sentence', (env, sentence) => {
    expect(() => readConfig(env as Record<string, string>)).toThrow(new ConfigError(sentence))
  })
})

describe('the mail server of the environment', () => {
  const MAIL_FROM = 'Paperboat <reports@paperboat.example>'

  it('is read from one address or from its parts', () => {
    expect(readConfig({}).mailServer).toBeNull()
    expect(readConfig({ MAIL_FROM, SMTP_URL: 'smtps://ada:p%40ss@smtp.example.com' }).mailServer).toEqual({
      host: 'smtp.example.com',
      port: 465,
      security: 'tls',
      user: 'ada',
      password: 'p@ss',
      from: MAIL_FROM,
    })
    expect(
      readConfig({ MAIL_FROM, SMTP_HOST: 'smtp.example.com', SMTP_USER: 'ada', SMTP_PASSWORD: 'x' })
        .mailServer,
    ).toMatchObject({ port: 587, security: 'starttls', user: 'ada', password: 'x' })
    expect(readConfig({ MAIL_FROM, SMTP_HOST: 'localhost' }).mailServer).toMatchObject({
      port: 25,
      security: 'none',
    })
    expect(
      readConfig({ MAIL_FROM, SMTP_HOST: 'relay.lan', SMTP_PORT: '25', SMTP_SECURITY: 'none' }).mailServer,
    ).toMatchObject({ port: 25, security: 'none' })
  })

  it.each([
    [{ SMTP_URL: 'https://smtp.example.com', MAIL_FROM }, /^SMTP_URL must be/],
    [{ SMTP_URL: 'smtp://smtp.example.com' }, /^MAIL_FROM must be/],
    [{ SMTP_HOST: 'smtp.example.com', MAIL_FROM: 'nobody' }, /^MAIL_FROM must be/],
    [{ SMTP_HOST: 'a', SMTP_URL: 'smtp://b', MAIL_FROM }, /^SMTP_HOST must be left out/],
    [{ SMTP_PORT: '99999' }, /^SMTP_PORT must be/],
    [{ SMTP_SECURITY: 'ssl' }, /^SMTP_SECURITY must be/],
    [{ PDF_SANDBOX: 'off' }, /^PDF_SANDBOX must be/],
  ])('refuses %j', (env, sentence) => {
    expect(() => readConfig(env)).toThrow(sentence)
  })
})
