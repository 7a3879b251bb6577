// <button data-copy="selector"> puts the text of that element on the clipboard and says so.
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('[data-copy]')
  if (!button) return
  const source = document.querySelector(button.dataset.copy)
  const text = source.value ?? source.textContent
  const copied = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  )
  if (!copied) {
    // Browsers keep the clipboard from pages on plain http: select the text, so that a key press copies it.
    getSelection().selectAllChildren(source)
  }
  const label = button.firstChild
  button.dataset.label ??= label.textContent
  label.textContent = copied ? 'Copied' : 'Selected'
  setTimeout(() => {
    label.textContent = button.dataset.label
  }, 2000)
})
