// htmx 4 hands Document.parseHTMLUnsafe a second argument. Chromium 143 knows that function, but refuses the argument,
// and no answer would ever be shown. Without the function htmx takes the DOMParser instead.
try {
  Document.parseHTMLUnsafe?.('', {})
} catch {
  Document.parseHTMLUnsafe = undefined
}
