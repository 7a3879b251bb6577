import { UAParser } from 'ua-parser-js'

/** What a person recognises a device by: "Firefox on Linux", "Mobile Safari on iPhone". */
export function deviceWords(userAgent: string): string {
  const { browser, os, device } = new UAParser(userAgent).getResult()
  const machine = device.model && device.vendor === 'Apple' && device.type ? device.model : os.name
  if (browser.name && machine) return `${browser.name} on ${machine}`
  return browser.name ?? machine ?? 'An unknown device'
}
