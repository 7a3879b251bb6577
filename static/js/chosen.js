// A list of boxes that is found anew while somebody types: what they tick while the answer is on its way stays ticked.
const boxOf = (list, { value }) =>
  [...list.querySelectorAll('input[type=checkbox]')].find((box) => box.value === value)

document.addEventListener('htmx:before:swap', (event) => {
  const { target, fragment } = event.detail.tasks?.find(({ type }) => type === 'main') ?? {}
  const list = typeof target === 'string' ? document.querySelector(target) : target
  const found = list?.matches?.('.choose-list') && fragment.querySelector('.choose-list')
  if (!found) return
  for (const box of list.querySelectorAll('input[type=checkbox]')) {
    const again = boxOf(found, box)
    if (again) again.checked = box.checked
    else if (box.checked) found.querySelector('legend').after(box.closest('label'))
  }
})
