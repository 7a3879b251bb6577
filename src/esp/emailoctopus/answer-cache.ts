interface KeptPage<Item> {
  items: Item[]
  cursor: string | null
  unreadable: number
}

/** Characters, of two bytes at the most: campaigns come with their HTML. */
const mostKept = 16_000_000

/** What was read in one run, as far as it fits: the oldest goes first. */
export class AnswerCache {
  readonly #pages = new Map<string, { kind: string; page: KeptPage<unknown>; size: number }>()
  #size = 0

  /**
   * @param kind what the items are: "campaign"
   * @param size of one item, in characters
   */
  keep<Item>(kind: string, url: string, page: KeptPage<Item>, size: (item: Item) => number) {
    this.#forget(url)
    const total = page.items.reduce((sum, item) => sum + size(item), 500)
    this.#pages.set(url, { kind, page, size: total })
    this.#size += total
    for (const oldest of this.#pages.keys()) {
      if (this.#size <= mostKept) break
      this.#forget(oldest)
    }
  }

  page<Item>(url: string) {
    return this.#pages.get(url)?.page as KeptPage<Item> | undefined
  }

  /** The newest that was kept of this thing, whether it came alone or on a page. */
  item<Item extends { id: string }>(kind: string, id: string) {
    for (const kept of [...this.#pages.values()].reverse()) {
      if (kept.kind !== kind) continue
      const { page } = kept
      const item = (page.items as Item[]).find((other) => other.id === id)
      if (item) return item
    }
    return undefined
  }

  #forget(url: string) {
    const kept = this.#pages.get(url)
    if (!kept) return
    this.#pages.delete(url)
    this.#size -= kept.size
  }
}
