// Throughline: reports arrivals and ways to the offer, without cookies.
;((d) => {
  const { src, dataset: o } = d.currentScript
  let v
  const safe = (f) => {
    try {
      return f()
    } catch {}
  }
  const tell = (event, eid) => {
    const u = src.replace(/static\/t.js.*/, 'api/event')
    const body = JSON.stringify({ cid: v.c, email: v.e, event, eid, domain: location.hostname, key: o.key })
    safe(() => navigator.sendBeacon(u, body)) ||
      fetch(u, { method: 'POST', keepalive: true, body }).catch(() => {})
  }
  const start = () =>
    safe(() => {
      const u = new URL(location)
      const p = u.searchParams
      let c = o.campaign
      let e = o.email
      safe(() => {
        const b = atob(p.get('e').replace(/[- ]/g, '+').replace(/_/g, '/'))
        const t = new TextDecoder().decode(Uint8Array.from(b, (c) => c.charCodeAt()))
        if (!/.@./.test(t)) return
        e ||= t
        c ||= p.get('cid')
        const q = u.search.slice(1).split('&')
        u.search = q.filter((x) => !/^(e|cid)=/.test(x)).join('&')
      })
      // Reload and back find it in the entry, further pages in the tab.
      const its = (x) => (!c || x?.c === c ? x : null)
      v = its(history.state?.tl) || (!e && its(safe(() => JSON.parse(sessionStorage.tl))))
      if (!v && e) {
        v = { c, e, i: crypto.getRandomValues(new Uint32Array(4)).join('') }
        tell('email_click', v.i)
      }
      if (!v) return
      history.replaceState({ ...history.state, tl: v }, '', u)
      sessionStorage.tl = JSON.stringify(v)
    })
  const follow = (x) =>
    safe(() => {
      const a = x.target.closest('[data-offer]')
      const n = o.sub ?? 'sub'
      if (n && !a.search.match(`[?&]${n}=`)) a.search += `${a.search && '&'}${n}=${v.i}`
      if (x.button < 2 && x.detail < 2) tell('landing_click')
    })
  for (const t of ['click', 'auxclick']) d.addEventListener(t, follow, true)
  d.prerendering ? d.addEventListener('prerenderingchange', start) : start()
})(document)
