// What a page does beyond links and forms. Everything here is a comfort: each page works without it.
import './line-chart.js'
import './arrange.js'
import './chosen.js'
import './colour.js'
import './copy.js'
import './drafts.js'
import './refreshed.js'
import './selection.js'

/** Every change carries the session's token, so that no other site can make it on somebody's behalf. */
document.addEventListener('htmx:config:request', (event) => {
  const { request } = event.detail.ctx
  const token = document.querySelector('meta[name="csrf-token"]')?.content
  if (token && !/^get$/i.test(request.method)) request.headers['X-CSRF-Token'] = token
  // A tab that nobody sees asks for nothing; it catches up when it is looked at again.
  if (document.hidden && request.headers['X-Refresh']) event.preventDefault()
})
document.addEventListener('visibilitychange', () => {
  if (!document.hidden)
    for (const part of document.querySelectorAll('[hx-trigger*="every"]')) htmx.trigger(part, 'refresh')
})

/** What a refresh changed glows once and settles: the only motion there is. */
const before = new WeakMap()
const figures = (root) =>
  new Map([...root.querySelectorAll('[data-value]')].map((part, index) => [part.id || index, part]))
document.addEventListener('htmx:before:swap', (event) => {
  const { target, request } = event.detail.ctx
  if (!target || !request.headers['X-Refresh']) return
  before.set(event.detail.ctx, new Map([...figures(target)].map(([key, part]) => [key, part.dataset.value])))
})
document.addEventListener('htmx:after:swap', (event) => {
  const { ctx } = event.detail
  const old = before.get(ctx)
  const target = ctx.target?.id ? document.getElementById(ctx.target.id) : ctx.target
  if (!old || !target || ctx.response?.status !== 200) return
  for (const [key, part] of figures(target))
    if (old.has(key) && old.get(key) !== part.dataset.value) {
      part.classList.remove('changed')
      requestAnimationFrame(() => part.classList.add('changed'))
    }
})

/** What failed is said where people look for it, and the page they were reading stays. */
document.addEventListener('htmx:response:error', (event) => {
  const { ctx } = event.detail
  if (ctx.request.headers['X-Refresh'] || !(ctx.response?.status >= 500)) return
  say('The server could not do this now. Nothing you typed is lost; try again in a few seconds.')
})
document.addEventListener('htmx:error', (event) => {
  if (event.detail.ctx?.request.headers['X-Refresh']) return
  say('The server does not answer. Nothing you typed is lost; try again in a few seconds.')
})
function say(sentence) {
  const flash = document.getElementById('flash')
  if (!flash) return
  const note = document.createElement('p')
  note.className = 'notice notice--bad'
  note.textContent = sentence
  flash.replaceChildren(note)
}

/** On a narrow screen tabs scroll in their own box: the open one is brought into sight. */
for (const tab of document.querySelectorAll('.tabs [aria-current]')) {
  const [box, own] = [tab.parentElement.getBoundingClientRect(), tab.getBoundingClientRect()]
  tab.parentElement.scrollLeft += own.left + own.width / 2 - (box.left + box.width / 2)
}

/** A menu closes when somebody looks elsewhere, or presses Escape. */
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]'))
    if (!menu.contains(event.target)) menu.open = false
})
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return
  const menu = document.querySelector('details.menu[open]')
  if (!menu) return
  menu.open = false
  menu.querySelector('summary').focus()
})
