import puppeteer, { type Browser } from 'puppeteer-core'
import { findBrowser, fontsBeside, quietArguments } from '../../src/reports/pdf/browser.js'

/**
 * Starts a browser with a fresh profile, which puppeteer removes when it is closed. It keeps Chromium's sandbox,
 * except as root and where the kernel forbids one; the pages under test are our own.
 */
export async function launchBrowser(): Promise<Browser> {
  const { PUPPETEER_EXECUTABLE_PATH, PATH } = process.env
  const executablePath = await findBrowser({ chosen: PUPPETEER_EXECUTABLE_PATH, path: PATH })
  const fonts = fontsBeside(executablePath)
  const launch = (sandbox: string[]) =>
    puppeteer.launch({
      executablePath,
      // Both the full browser and the shell understand this as "headless".
      headless: 'shell',
      timeout: 60_000,
      protocolTimeout: 120_000,
      env: {
        ...process.env,
        // A bare machine's locale gives pages a language tag that no browser of a person has.
        LANG: 'en_US.UTF-8',
        LANGUAGE: 'en_US',
        // A machine without any fonts gets those that came with the browser.
        ...(fonts ? { FONTCONFIG_PATH: fonts } : {}),
      },
      args: [...quietArguments, ...sandbox],
    })

  return process.getuid?.() === 0 ? launch(['--no-sandbox']) : launchSandboxed(launch)
}

async function launchSandboxed(launch: (sandbox: string[]) => Promise<Browser>): Promise<Browser> {
  try {
    return await launch([])
  } catch (error) {
    if (!/sandbox/i.test(String(error))) throw error
    console.warn('This kernel forbids the browser its sandbox; the tests go on without it.')
    return launch(['--no-sandbox'])
  }
}
