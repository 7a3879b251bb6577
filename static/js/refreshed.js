// <time data-refreshed="selector"> tells when that part last asked, whether or not anything had changed.
document.addEventListener('htmx:after:request', (event) => {
  const { ctx } = event.detail
  const status = ctx.response?.status
  if (!ctx.request.headers['X-Refresh'] || (status !== 200 && status !== 304)) return
  for (const time of document.querySelectorAll('time[data-refreshed]')) {
    if (!ctx.sourceElement?.matches(time.dataset.refreshed)) continue
    const now = new Date()
    time.dateTime = now.toISOString()
    time.textContent = now.toLocaleTimeString('en-GB', { timeZone: time.dataset.zone })
  }
})
