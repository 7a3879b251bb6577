import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createCanvas } from '@napi-rs/canvas'
import { getDocument, type PDFDocumentProxy } from 'pdfjs-dist/legacy/build/pdf.mjs'

const packaged = (folder: string) =>
  `${join(dirname(createRequire(import.meta.url).resolve('pdfjs-dist/package.json')), folder)}/`

/** What a PDF holds, read back by a library that had no part in making it. */
export interface ReadPdf {
  title: string
  lang: string | null
  tagged: boolean
  /** The text of each page, pieces joined by blanks. */
  pages: string[]
  /** Width and height of the first page, in points. */
  size: { width: number; height: number }
  outline: string[]
  links: string[]
  /** The roles of the structure tree, in order, such as `H1` and `P`. */
  roles: string[]
  /** Each font the PDF names, and whether it lies within. */
  fonts: { name: string; embedded: boolean }[]
}

async function opened<T>(bytes: Buffer, look: (pdf: PDFDocumentProxy) => Promise<T>): Promise<T> {
  const task = getDocument({
    data: new Uint8Array(bytes),
    standardFontDataUrl: packaged('standard_fonts'),
    cMapUrl: packaged('cmaps'),
    verbosity: 0,
  })
  try {
    return await look(await task.promise)
  } finally {
    await task.destroy()
  }
}

interface Node {
  role?: string
  /** Of a leaf: the marked content that it is. */
  id?: string
  children?: Node[]
}
const rolesOf = (node: Node | null): string[] =>
  node ? [...(node.role ? [node.role] : []), ...(node.children ?? []).flatMap(rolesOf)] : []

interface Bookmark {
  title: string
  items: Bookmark[]
}
const titlesOf = (marks: Bookmark[] | null): string[] =>
  (marks ?? []).flatMap(({ title, items }) => [title, ...titlesOf(items)])

export const readPdf = (bytes: Buffer): Promise<ReadPdf> =>
  opened(bytes, async (pdf) => {
    const { info } = (await pdf.getMetadata()) as { info: { Title?: string; Language?: string } }
    const marks = (await pdf.getMarkInfo()) as { Marked?: boolean } | null
    const read: ReadPdf = {
      title: info.Title ?? '',
      lang: info.Language ?? null,
      tagged: marks?.Marked === true,
      pages: [],
      size: { width: 0, height: 0 },
      outline: titlesOf((await pdf.getOutline()) as Bookmark[] | null),
      links: [],
      roles: [],
      fonts: fontsOf(bytes),
    }
    for (let number = 1; number <= pdf.numPages; number++) {
      const page = await pdf.getPage(number)
      const { width, height } = page.getViewport({ scale: 1 })
      if (number === 1) read.size = { width, height }
      const { items } = await page.getTextContent()
      read.pages.push(
        items
          .map((item) => ('str' in item ? item.str : ''))
          .join(' ')
          .replace(/\s+/g, ' ')
          .trim(),
      )
      for (const { url } of (await page.getAnnotations()) as { url?: string }[]) if (url) read.links.push(url)
      read.roles.push(...rolesOf((await page.getStructTree()) as Node | null))
    }
    return read
  })

/** Chromium writes its dictionaries in plain text, so a font and where its file lies can be read as they stand. */
function fontsOf(bytes: Buffer): ReadPdf['fonts'] {
  const text = bytes.toString('latin1')
  const descriptors = [...text.matchAll(/\/Type\s*\/FontDescriptor\b[\s\S]*?>>/g)].map(([whole]) => ({
    name: /\/FontName\s*\/([^\s/<>]+)/.exec(whole)?.[1] ?? '',
    embedded: /\/FontFile[23]?\s+\d+ 0 R/.test(whole),
  }))
  return descriptors
}

/** One page as a picture: RGBA, with so many pixels to the point. */
export const pictureOf = (bytes: Buffer, { page, scale = 1 }: { page: number; scale?: number }) =>
  opened(bytes, async (pdf) => {
    const sheet = await pdf.getPage(page)
    const viewport = sheet.getViewport({ scale })
    const canvas = createCanvas(Math.round(viewport.width), Math.round(viewport.height))
    await sheet.render({ canvas: canvas as never, viewport, background: 'white' }).promise
    return { width: canvas.width, height: canvas.height, png: canvas.toBuffer('image/png') }
  })

/** A PDF from the disk, for looking at it by hand. */
export const pdfAt = (path: string) => readPdf(readFileSync(path))

/**
 * The rows of every table of a PDF as its tags have them, cell by cell, those of the head, the body and the foot one after
 * the other. A table that goes on on the next page, under the same head, is one table.
 */
export const pdfTables = (bytes: Buffer): Promise<string[][][]> =>
  opened(bytes, async (pdf) => {
    const tables: string[][][] = []
    for (let number = 1; number <= pdf.numPages; number++) {
      const page = await pdf.getPage(number)
      const pieces = new Map<string, string>()
      const within: string[] = []
      for (const item of (await page.getTextContent({ includeMarkedContent: true })).items) {
        if ('str' in item) {
          const id = within.findLast((each) => each !== '')
          if (id) pieces.set(id, `${pieces.get(id) ?? ''}${item.str}${item.hasEOL ? ' ' : ''}`)
        } else if (item.type === 'endMarkedContent') within.pop()
        else within.push(item.id ?? '')
      }
      const all = (node: Node, role: string): Node[] =>
        node.role === role ? [node] : (node.children ?? []).flatMap((child) => all(child, role))
      const textOf = (node: Node): string =>
        node.id ? (pieces.get(node.id) ?? '') : (node.children ?? []).map(textOf).join(' ')
      const root = (await page.getStructTree()) as Node | null
      const found = (root ? all(root, 'Table') : []).map(
        (table) =>
          all(table, 'TR')
            .map((row) =>
              (row.children ?? [])
                .filter(({ role }) => role === 'TH' || role === 'TD')
                .map((cell) => textOf(cell).replace(/\s+/g, ' ').trim()),
            )
            .filter((row) => row.some((text) => text !== '')), // the others stand on another page
      )
      const [first] = found
      const before = number > 1 ? tables.at(-1) : undefined
      if (first && before && JSON.stringify(first[0]) === JSON.stringify(before[0])) {
        before.push(...first.slice(1))
        found.shift()
      }
      tables.push(...found)
    }
    return tables
  })
