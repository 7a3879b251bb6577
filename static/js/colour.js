// A colour is typed or picked; the two say the same. How it will look is drawn by the server, as the text changes.
document.addEventListener('input', ({ target }) => {
  const field = target.closest?.('[data-colour]')
  if (!field) return
  const [text, picker] = ['[type=text]', '[type=color]'].map((kind) => field.querySelector(kind))
  if (target === text) {
    const digits = /^#?([0-9a-f]{6})$/i.exec(text.value.trim())?.[1]
    if (digits) picker.value = `#${digits.toLowerCase()}`
  } else if (target === picker) {
    text.value = picker.value
    text.dispatchEvent(new Event('input', { bubbles: true }))
  }
})
