// Boxes on the rows of a table: how many are ticked is said, all shown can be ticked at once, and a table in which
// somebody chooses is not refreshed under their hands.
const boxes = () => [...document.querySelectorAll('input[type=checkbox][form=selection]')]

function tell() {
  const all = boxes()
  const chosen = all.filter((box) => box.checked)
  for (const box of all) box.closest('tr')?.classList.toggle('chosen', box.checked)
  const count = document.getElementById('chosen-count')
  if (count) count.textContent = chosen.length > 0 ? `${chosen.length} chosen` : 'Chosen'
  const every = document.querySelector('[data-choose-all]')
  if (!every) return
  every.hidden = false
  every.checked = all.length > 0 && chosen.length === all.length
  every.indeterminate = chosen.length > 0 && chosen.length < all.length
}

document.addEventListener('change', ({ target }) => {
  if (target.matches?.('[data-choose-all]')) for (const box of boxes()) box.checked = target.checked
  if (target.matches?.('[data-choose-all], [form=selection]')) tell()
})
// The form resets its boxes only after the event.
document.addEventListener('reset', ({ target }) => {
  if (target.id === 'selection') setTimeout(tell)
})
document.addEventListener('htmx:after:swap', tell)
document.addEventListener('htmx:config:request', (event) => {
  const { request } = event.detail.ctx
  const isTable = event.target.id === 'contact-refresh'
  if (isTable && request.headers['X-Refresh'] && boxes().some((box) => box.checked)) event.preventDefault()
})
tell()
