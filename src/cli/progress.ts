import type { WriteStream } from 'node:tty'
import { amountInWords, headwayOf, leftInWords, type RunWords } from '../esp/run-words.js'
import type { Run } from '../esp/runs.js'

/** Shows how far a sync is. */
export interface Meter {
  show(run: Run): void
  /** What is said next stands on a line of its own. */
  end(): void
}

const barLength = 30

/** One line that is written over and over, with a bar. */
export function progressMeter(out: Pick<WriteStream, 'write' | 'columns'>, words: RunWords): Meter {
  let shown = ''
  return {
    show(run) {
      const { value, step, left, stages } = headwayOf(run, words)
      const filled = Math.round((value / 100) * barLength)
      const bar = '█'.repeat(filled) + '░'.repeat(barLength - filled)
      const current = stages.find(({ name }) => name === run.progress.stage)
      const parts = [step, current?.begun && amountInWords(current), left !== null && leftInWords(left)]
      // A line that is longer than the terminal could not be written over.
      const line = `${bar} ${parts.filter(Boolean).join(', ')}`.slice(0, (out.columns ?? 80) - 1)
      if (line === shown) return
      out.write(`\r${line}\x1b[K`)
      shown = line
    },
    end() {
      if (shown) out.write('\r\x1b[K')
      shown = ''
    },
  }
}

/** A line at each tenth of each step: what a log can keep. */
export function progressLines(say: (line: string) => void, words: RunWords): Meter {
  const told = new Map<string, number>()
  return {
    show(run) {
      for (const stage of headwayOf(run, words).stages) {
        if (!stage.begun) continue
        const tenth = stage.of ? Math.floor((stage.done / stage.of) * 10) : 10
        if (tenth <= (told.get(stage.name) ?? -1)) continue
        told.set(stage.name, tenth)
        say(`${stage.label}: ${amountInWords(stage)}`)
      }
    },
    end() {},
  }
}
