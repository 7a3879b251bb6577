// A session that ends while somebody types must not take what was typed with it: what a form holds is kept in this tab
// with each change, and put back when the login leads here again. Passwords are not kept.
const kept = 'throughline-draft'

function keep(form) {
  if (form?.method !== 'post' || form.querySelector('[type=password]')) return
  const fields = [...form.elements].filter(
    ({ name, type }) => name && !/^(hidden|submit|button|file)$/.test(type),
  )
  const values = fields.map((field) => {
    const { name, type, value } = field
    const checked = /^(checkbox|radio)$/.test(type) && field.checked
    return { name, value, checked, words: checked ? field.labels?.[0]?.textContent.trim() : '' }
  })
  const order = [...form.querySelectorAll('[data-arrange] > *')].map((item) => item.dataset.section)
  try {
    sessionStorage.setItem(kept, JSON.stringify({ action: form.getAttribute('action'), values, order }))
  } catch {
    // A browser that keeps nothing, or has no room.
  }
}
document.addEventListener('submit', ({ target }) => keep(target), true)
document.addEventListener('input', ({ target }) => keep(target.form ?? target.closest?.('form')), true)

/** A thing that was found and ticked, and is not among those that the page offers by itself. */
function tickAgain(form, { name, value, words }) {
  const group = words && form.querySelector(`#things-${CSS.escape(name)}`)
  if (!group) return
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', name, value, checked: true })
  const label = document.createElement('label')
  label.className = 'check'
  label.append(box, ' ', Object.assign(document.createElement('span'), { textContent: words }))
  group.append(label)
}

function putBack(form, { values, order }) {
  for (const value of values) {
    const fields = [...form.querySelectorAll(`[name="${CSS.escape(value.name)}"]`)].filter(
      ({ type }) => type !== 'hidden',
    )
    for (const field of fields) {
      if (!/^(checkbox|radio)$/.test(field.type)) field.value = value.value
      else if (field.value === value.value) field.checked = value.checked
    }
    if (value.checked && !fields.some((field) => field.value === value.value)) tickAgain(form, value)
  }
  const list = form.querySelector('[data-arrange]')
  const items = new Map([...(list?.children ?? [])].map((item) => [item.dataset.section, item]))
  for (const name of order ?? []) if (items.has(name)) list.append(items.get(name))
}

const draft = JSON.parse(sessionStorage.getItem(kept) ?? 'null')
sessionStorage.removeItem(kept)
const fromLogin = document.referrer !== '' && new URL(document.referrer).pathname === '/login'
const form =
  draft && fromLogin && document.querySelector(`form[method=post][action="${CSS.escape(draft.action)}"]`)
if (form) {
  putBack(form, draft)
  form.dispatchEvent(new Event('input', { bubbles: true }))
}
