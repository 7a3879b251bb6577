import { Router } from 'express'

/** A word as the pages use it, with what it means. */
export interface Definition {
  /** Fit for an address: `#conversion-rate`. */
  id: string
  term: string
  /** Sentences, each a paragraph. */
  text: string[]
  /** How a number comes about: `conversions ÷ email clicks`. */
  formula?: string
}
export interface Chapter {
  id: string
  title: string
  definitions: Definition[]
}

/** `/glossary`: what the numbers mean. Each room enters its own chapter. */
export function glossaryPages({ chapters }: { chapters: Chapter[] }) {
  const routes = Router()
  routes.get('/glossary', (_req, res) => {
    res.render('help/glossary', { room: '', chapters })
  })
  return routes
}
