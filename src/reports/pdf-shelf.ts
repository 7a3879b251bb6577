import { LRUCache } from 'lru-cache'
import type { Rendering } from './archive.js'
import type { Press } from './pdf/press.js'
import type { Reports } from './reports.js'

/** One PDF that is being printed, is there, or could not be printed. */
interface Print {
  state: 'printing' | 'there' | 'failed'
  pdf: Promise<Buffer>
}

/** So many PDFs are kept, for so many milliseconds: printing one again takes a second. */
const kept = { prints: 30, milliseconds: 10 * 60_000 }

/**
 * The PDFs of renderings that somebody asked for lately. Two who ask for the same one wait for the same printing; one that
 * failed is printed again when it is asked for again.
 */
export function pdfShelf({
  reports,
  press,
}: {
  reports: Pick<Reports, 'documentOf'>
  press: Pick<Press, 'print'>
}) {
  const prints = new LRUCache<string, Print>({ max: kept.prints, ttl: kept.milliseconds })

  // Whoever is erased leaves the PDF too.
  const keyOf = ({ id, people }: Rendering) => `${id} ${people.size}`

  function printOf(rendering: Rendering): Print {
    const key = keyOf(rendering)
    const known = prints.get(key)
    if (known) return known
    const print: Print = {
      state: 'printing',
      pdf: press.print(() => reports.documentOf(rendering)),
    }
    prints.set(key, print)
    print.pdf.then(
      () => {
        print.state = 'there'
      },
      () => {
        print.state = 'failed'
      },
    )
    return print
  }

  return {
    /**
     * The PDF of a rendering, if it is there within so many milliseconds; null while it is still being printed.
     * @throws what the press says of it, once: whoever asks again has it printed again
     */
    async within(rendering: Rendering, milliseconds: number): Promise<Buffer | null> {
      const print = printOf(rendering)
      if (print.state === 'failed') prints.delete(keyOf(rendering))
      let timer: NodeJS.Timeout | undefined
      const later = new Promise<null>((done) => {
        timer = setTimeout(() => done(null), milliseconds)
      })
      try {
        return await Promise.race([print.pdf, later])
      } catch (error) {
        prints.delete(keyOf(rendering))
        throw error
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
