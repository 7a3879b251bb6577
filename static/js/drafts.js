// A session that ends while somebody types must not take what was typed with it: what a form was about to send is kept
// in this tab, and put back when the login leads here again. Passwords are not kept.
const kept = 'throughline-draft'

document.addEventListener(
  'submit',
  ({ target: form }) => {
    if (form.method !== 'post' || form.querySelector('[type=password]')) return
    const fields = [...form.elements].filter(
      ({ name, type }) => name && !/^(hidden|submit|button|file)$/.test(type),
    )
    const values = fields.map(({ name, type, value, checked }) => ({
      name,
      value,
      checked: /^(checkbox|radio)$/.test(type) && checked,
    }))
    sessionStorage.setItem(kept, JSON.stringify({ action: form.getAttribute('action'), values }))
  },
  true,
)

const draft = JSON.parse(sessionStorage.getItem(kept) ?? 'null')
sessionStorage.removeItem(kept)
const fromLogin = document.referrer !== '' && new URL(document.referrer).pathname === '/login'
const form =
  draft && fromLogin && document.querySelector(`form[method=post][action="${CSS.escape(draft.action)}"]`)
if (form)
  for (const { name, value, checked } of draft.values)
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (!/^(checkbox|radio)$/.test(field.type)) field.value = value
      else if (field.value === value) field.checked = checked
    }
