// EmailOctopus signs its deliveries as Buttondown does: `EmailOctopus-Signature: sha256=` and the HMAC-SHA256 of the raw
// body, keyed with the secret of the webhook. Only the name of the header differs.
export { verifySignature } from '../buttondown/signature.js'

export const signatureHeader = 'EmailOctopus-Signature'
