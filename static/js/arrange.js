// The sections of a report are moved by their arrows or dragged. Without this the arrows send the form, and the page comes
// back with the section moved.
const listOf = (part) => part.closest?.('[data-arrange]')
const isFixed = (item) => item?.hasAttribute('data-fixed')

function told(item) {
  const list = listOf(item)
  const name = item.querySelector('.check span')?.firstChild?.textContent?.trim()
  const place = [...list.children].indexOf(item) + 1
  const status = list.parentElement.querySelector('[data-arranged]')
  if (status) status.textContent = `${name} is number ${place} of ${list.children.length}.`
  list.dispatchEvent(new Event('input', { bubbles: true }))
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('[data-move]')
  const list = button && listOf(button)
  if (!list) return
  event.preventDefault()
  const item = button.closest('.arrange__item')
  const other = button.dataset.move === '-1' ? item.previousElementSibling : item.nextElementSibling
  if (!other || isFixed(other)) return
  if (button.dataset.move === '-1') other.before(item)
  else other.after(item)
  button.focus()
  told(item)
})

let dragged = null
const prepare = () => {
  for (const item of document.querySelectorAll('[data-arrange] > :not([data-fixed])')) item.draggable = true
}
prepare()
document.addEventListener('htmx:after:swap', prepare)

document.addEventListener('dragstart', (event) => {
  const item = event.target.closest?.('[data-arrange] > [draggable]')
  if (!item) return
  dragged = item
  event.dataTransfer.effectAllowed = 'move'
  event.dataTransfer.setData('text/plain', item.dataset.section)
  item.classList.add('arrange__item--dragged')
})
document.addEventListener('dragover', (event) => {
  const over = dragged && event.target.closest?.('[data-arrange] > *')
  if (!over || listOf(over) !== listOf(dragged) || isFixed(over)) return
  event.preventDefault()
  if (over === dragged) return
  const box = over.getBoundingClientRect()
  if (event.clientY < box.top + box.height / 2) over.before(dragged)
  else over.after(dragged)
})
document.addEventListener('drop', (event) => {
  if (dragged && event.target.closest?.('[data-arrange]')) event.preventDefault()
})
document.addEventListener('dragend', () => {
  if (!dragged) return
  const item = dragged
  dragged = null
  item.classList.remove('arrange__item--dragged')
  told(item)
})
